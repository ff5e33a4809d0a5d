//! The memory limit of a process tree: by a control group where one may be made, else by watching.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::process;
use crate::model::units::Bytes;

/// Who enforces the limit.
#[derive(Debug)]
pub(super) enum Limit {
    None,
    /// The kernel; it counts what it killed.
    Group {
        path: PathBuf,
        kills: u64,
    },
    /// The keeper, by looking.
    Watched {
        limit: u64,
    },
}

impl Limit {
    pub(super) fn new(limit: Option<Bytes>, group_allowed: bool, name: &str) -> Self {
        let Some(limit) = limit else {
            return Self::None;
        };
        match group_allowed.then(|| make_group(limit.0, name)).flatten() {
            Some(path) => Self::Group { kills: kills(&path), path },
            None => Self::Watched { limit: limit.0 },
        }
    }

    pub(super) fn group(&self) -> Option<&Path> {
        match self {
            Self::Group { path, .. } => Some(path),
            _ => None,
        }
    }

    /// How often `is_passed` wants to be asked.
    pub(super) fn every(&self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Group { .. } => Some(Duration::from_secs(1)),
            Self::Watched { .. } => Some(Duration::from_millis(250)),
        }
    }

    /// Whether the tree below `root` took more than allowed since the last time this was asked.
    pub(super) fn is_passed(&mut self, root: u32) -> bool {
        match self {
            Self::None => false,
            Self::Group { path, kills: seen } => {
                let now = kills(path);
                std::mem::replace(seen, now) < now
            }
            Self::Watched { limit } => is_over(root, *limit),
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Self::Group { path, .. } = self {
            // Possible only when nothing is left in it; else the next keeper of this name takes it over.
            let _ = fs::remove_dir(path);
        }
    }
}

/// Resident memory of the tree, with shared pages counted once per process; only when that is too much are they shared out.
fn is_over(root: u32, limit: u64) -> bool {
    let tree: Vec<u32> = process::descendants(root).iter().map(|process| process.pid).collect();
    let page = rustix::param::page_size() as u64;
    let resident = |pid: &u32| process::stat(*pid).map_or(0, |stat| stat.pages * page);
    if tree.iter().map(resident).sum::<u64>() <= limit {
        return false;
    }
    tree.iter().map(|pid| proportional(*pid).unwrap_or_else(|| resident(pid))).sum::<u64>() > limit
}

fn proportional(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// What the kernel killed in a group for its memory.
fn kills(group: &Path) -> u64 {
    let count = |file: &str| {
        let text = fs::read_to_string(group.join(file)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
    };
    count("memory.events").or_else(|| count("memory.oom_control")).unwrap_or(0)
}

/// A new group with this limit, where this process may make one: version 2 below or beside its own, or version 1.
fn make_group(limit: u64, name: &str) -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let name = format!("pilothouse-{name}");
    for parent in places(&own, &mounts) {
        let group = parent.join(&name);
        if fs::create_dir(&group).is_err() && !group.is_dir() {
            continue;
        }
        if set_limit(&group, limit) {
            return Some(group);
        }
        let _ = fs::remove_dir(&group);
    }
    None
}

fn set_limit(group: &Path, limit: u64) -> bool {
    let set = |file: &str, value: &str| fs::write(group.join(file), value).is_ok();
    let limit = limit.to_string();
    if group.join("memory.max").exists() {
        // Absent where there is no swap.
        set("memory.swap.max", "0");
        set("memory.oom.group", "1");
        return set("memory.max", &limit) && group.join("memory.events").exists();
    }
    let done = set("memory.limit_in_bytes", &limit);
    // Memory and swap together; absent where swap is not accounted for.
    set("memory.memsw.limit_in_bytes", &limit);
    done && group.join("memory.oom_control").exists()
}

/// Folders in which a group may be made, the likeliest first, from `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn places(own: &str, mounts: &str) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let kind = if controllers.is_empty() { "cgroup2" } else { "cgroup" };
        if kind == "cgroup" && !controllers.split(',').any(|one| one == "memory") {
            continue;
        }
        let Some((root, point)) = mounts.lines().find_map(|mount| mounted(mount, kind)) else {
            continue;
        };
        // In a container the mount shows only the part of the tree below `root`.
        let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or("").trim_start_matches('/');
        let here = point.join(below);
        places.extend(here.parent().filter(|_| !below.is_empty()).map(Path::to_owned).into_iter().chain([here.clone()]).rev());
    }
    places
}

/// Root and mount point of a control group file system of this kind (proc_pid_mountinfo(5)).
fn mounted<'a>(mount: &'a str, kind: &str) -> Option<(&'a str, PathBuf)> {
    let (first, last) = mount.split_once(" - ")?;
    let mut last = last.split(' ');
    let is_kind = last.next()? == kind;
    let options = last.nth(1)?;
    let fits = is_kind && (kind == "cgroup2" || options.split(',').any(|option| option == "memory"));
    let mut first = first.split(' ').skip(3);
    let root = first.next()?;
    let point = first.next()?;
    fits.then(|| (root, PathBuf::from(point)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_made_below_the_own_one_or_beside_it() {
        let v1 = "5:devices:/x\n4:memory:/a/b\n0::/\n";
        let mounts = "31 24 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
        assert_eq!(places(v1, mounts), [PathBuf::from("/sys/fs/cgroup/memory/a/b"), "/sys/fs/cgroup/memory/a".into()]);
        let v2 = "0::/user.slice/app.scope\n";
        let mounts = "30 24 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let expected = ["/sys/fs/cgroup/user.slice/app.scope", "/sys/fs/cgroup/user.slice"];
        assert_eq!(places(v2, mounts), expected.map(PathBuf::from));
    }
}
