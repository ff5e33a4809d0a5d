//! Drawing and editing parts that know no domain.

pub mod chart;
pub mod form;
pub mod sparkline;
pub mod strip;
pub mod table;
