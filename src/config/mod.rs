//! Settings and where things lie: default < file < environment < flag.

pub mod clock;
pub mod load;
pub mod manifest_file;
pub mod settings;
pub mod sockets;
pub mod state_dir;
pub mod strict;

pub use load::{Flags, load};
pub use settings::Settings;
pub use state_dir::StateDir;
