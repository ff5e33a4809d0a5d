//! Instances as processes, each under a keeper.
