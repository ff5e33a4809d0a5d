//! Where an engine's files lie: everything of one engine is below one folder.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::model::{
    edge::Slot,
    ids::{AppId, DeploymentId, ReleaseId},
};

/// The folder of one engine. Two engines with two folders do not touch each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
    sockets: PathBuf,
}

impl StateDir {
    /// Longest path of a Unix socket on Linux (`sun_path`), with its end.
    const LONGEST_SOCKET: usize = 108;

    /// `root` must be absolute. Sockets lie in it too, unless their paths would be too long: then in a folder of the
    /// temporary directory whose name is made from `root`'s.
    pub fn new(root: PathBuf) -> Self {
        let long = root.join("engine.sock").as_os_str().len() + 1 > Self::LONGEST_SOCKET;
        let sockets = if long { short_folder(&root) } else { root.clone() };
        Self { root, sockets }
    }

    /// Makes the folders, readable by their owner alone. `root` keeps its mode when somebody else has made it.
    pub fn create(&self) -> io::Result<()> {
        make_own(&self.root)?;
        make_own(&self.sockets)?;
        for path in [self.keepers(), self.edge(), self.scratch_root(), self.releases_root(), self.root.join("cache")] {
            make_own(&path)?;
            // An older version left some of them open.
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn engine_socket(&self) -> PathBuf {
        self.sockets.join("engine.sock")
    }

    /// Leads to the door of the edge that serves.
    pub fn edge_socket(&self) -> PathBuf {
        self.sockets.join("edge.sock")
    }

    /// The door of one edge.
    pub fn edge_door(&self, slot: Slot) -> PathBuf {
        self.sockets.join(format!("edge-{slot}.sock"))
    }

    /// Where an edge takes over the listening sockets of another one.
    pub fn edge_hatch(&self, slot: Slot) -> PathBuf {
        self.sockets.join(format!("edge-{slot}.take"))
    }

    /// Folder of the sockets when they do not lie in `root`: it goes when the state goes.
    pub fn socket_folder(&self) -> Option<&Path> {
        (self.sockets != self.root).then_some(self.sockets.as_path())
    }

    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.db")
    }

    /// Key of sealed values.
    pub fn secrets_key(&self) -> PathBuf {
        self.root.join("secrets.key")
    }

    /// Locked by the running engine; holds its pid.
    pub fn lock(&self) -> PathBuf {
        self.root.join("engine.lock")
    }

    pub fn engine_log(&self) -> PathBuf {
        self.root.join("engine.log")
    }

    pub fn edge(&self) -> PathBuf {
        self.root.join("edge")
    }

    /// The routing table in force.
    pub fn edge_table(&self) -> PathBuf {
        self.edge().join("table.json")
    }

    /// What one edge was started with.
    pub fn edge_start(&self, slot: Slot) -> PathBuf {
        self.edge().join(format!("edge-{slot}.json"))
    }

    /// Why one edge does not serve yet.
    pub fn edge_waits(&self, slot: Slot) -> PathBuf {
        self.edge().join(format!("waits-{slot}.json"))
    }

    /// One folder per keeper: `keepers/shop-1-a/{spec.json,state.json,labels.json,log/}`.
    pub fn keepers(&self) -> PathBuf {
        self.root.join("keepers")
    }

    pub fn keeper(&self, name: &str) -> PathBuf {
        self.keepers().join(name)
    }

    pub fn releases_root(&self) -> PathBuf {
        self.root.join("releases")
    }

    pub fn app(&self, app: &AppId) -> PathBuf {
        self.releases_root().join(app.as_str())
    }

    pub fn release(&self, app: &AppId, release: ReleaseId) -> PathBuf {
        self.app(app).join(release.to_string())
    }

    /// What was found in `releases/` without the journal's knowledge, by the lease of the engine that found it.
    pub fn strays(&self, lease: u64) -> PathBuf {
        self.root.join("strays").join(lease.to_string())
    }

    /// One file per build of an image that may have left something in Docker.
    pub fn left_by_builds(&self) -> PathBuf {
        self.root.join("left")
    }

    pub fn scratch_root(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// Temporary files of a deployment; gone when its build is over, however it ended.
    pub fn scratch(&self, deployment: DeploymentId) -> PathBuf {
        self.scratch_root().join(deployment.to_string())
    }

    pub fn cache(&self, app: &AppId) -> PathBuf {
        self.root.join("cache").join(app.as_str())
    }
}

/// Makes a folder, and those above it, readable by their owner alone.
pub fn make_own(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file to read and write, and makes it when it is not there; readable by its owner alone.
pub fn open_own(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // An older version left it open.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

fn short_folder(root: &Path) -> PathBuf {
    use sha2::{Digest, Sha256};
    let digest: [u8; 32] = Sha256::digest(root.as_os_str().as_encoded_bytes()).into();
    let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let uid = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("pilothouse-{uid}-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_state_folder_still_gets_a_socket_that_the_system_accepts() {
        let deep = StateDir::new(PathBuf::from("/").join("x".repeat(150)));
        assert!(deep.engine_socket().as_os_str().len() < StateDir::LONGEST_SOCKET);
        let longest = Slot::all().map(|slot| deep.edge_hatch(slot).as_os_str().len().max(deep.edge_door(slot).as_os_str().len()));
        assert!(longest.max() <= Some(deep.engine_socket().as_os_str().len()), "its path is what the folder is chosen by");
        assert_eq!(StateDir::new("/s".into()).engine_socket(), Path::new("/s/engine.sock"));
    }
}
