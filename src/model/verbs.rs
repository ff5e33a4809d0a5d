//! The verb table: every word an operator can say, with its key, scope, help and availability.
