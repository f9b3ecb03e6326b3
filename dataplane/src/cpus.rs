//! How many workers this process should run, and on which cores.
//!
//! Three things bound it: the cores it may run on (`sched_getaffinity`, which a cpuset narrows),
//! the quota of its cgroup, and the quotas of the groups above it. A quota of 1.5 CPUs gives two
//! workers: one would leave a third of it unused. Parsing is pure and takes the files' text.

use std::path::{Path, PathBuf};

pub use core_affinity::CoreId;

/// The CPUs of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpus {
    /// Cores it may run on, ascending. Empty: the kernel did not say.
    pub cores: Vec<CoreId>,
    /// CPUs that its cgroups grant it, rounded up. Absent: no quota.
    pub quota: Option<usize>,
}

impl Cpus {
    /// Those of the calling thread, which must not be pinned yet. Reads `/proc` and the cgroup
    /// file systems; what cannot be read is taken as no bound.
    pub fn available() -> Self {
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let own = |name| read(Path::new(name)).unwrap_or_default();
        let mut cores = core_affinity::get_core_ids().unwrap_or_default();
        cores.sort_unstable();
        Self {
            cores,
            quota: quota(
                &own("/proc/self/cgroup"),
                &own("/proc/self/mountinfo"),
                read,
            ),
        }
    }

    /// As many workers as CPUs, at least one.
    pub fn workers(&self) -> usize {
        let cores = self.cores.len().max(1);
        self.quota.unwrap_or(cores).clamp(1, cores)
    }

    /// The core of each of `workers`, as far as pinning helps: no two workers share a core, so more
    /// workers than cores get none at all. Fewer workers than cores start at `offset` (any number,
    /// best a random one), or the sidecars of one host would all crowd onto its first cores.
    pub fn pins(&self, workers: usize, offset: usize) -> Vec<Option<CoreId>> {
        let cores = self.cores.len();
        if workers > cores {
            return vec![None; workers];
        }
        let start = if workers == cores { 0 } else { offset % cores };
        (0..workers)
            .map(|worker| Some(self.cores[(start + worker) % cores]))
            .collect()
    }
}

/// The smallest quota of the process's cgroup and those above it, in CPUs rounded up. `cgroup` and
/// `mountinfo` are the text of `/proc/self/cgroup` and `/proc/self/mountinfo` (cgroups(7),
/// proc(5)).
fn quota(cgroup: &str, mountinfo: &str, read: impl Fn(&Path) -> Option<String>) -> Option<usize> {
    let unified = group(cgroup, |controllers| controllers.is_empty())
        .zip(mount(mountinfo, |kind, _| kind == "cgroup2"))
        .into_iter()
        .flat_map(|(group, mount)| mount.directories(group))
        .filter_map(|directory| quota_of_max(&read(&directory.join("cpu.max"))?));
    let has_cpu = |list: &str| list.split(',').any(|name| name == "cpu");
    let legacy = group(cgroup, has_cpu)
        .zip(mount(mountinfo, |kind, options| {
            kind == "cgroup" && has_cpu(options)
        }))
        .into_iter()
        .flat_map(|(group, mount)| mount.directories(group))
        .filter_map(|directory| {
            quota_of_cfs(
                &read(&directory.join("cpu.cfs_quota_us"))?,
                &read(&directory.join("cpu.cfs_period_us"))?,
            )
        });
    unified.chain(legacy).min()
}

/// The path of the hierarchy whose list of controllers (`0::/a`, `4:cpu,cpuacct:/a`) is as asked.
fn group(cgroup: &str, controllers: impl Fn(&str) -> bool) -> Option<&Path> {
    cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let _hierarchy = fields.next()?;
        let list = fields.next()?;
        let path = fields.next()?;
        controllers(list).then(|| Path::new(path))
    })
}

/// A mounted hierarchy: which of its directories is seen where.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// Where `group` and the groups above it are seen, innermost first. A group outside of what is
    /// mounted (a cgroup namespace made later) leaves the mount point itself.
    fn directories(&self, group: &Path) -> Vec<PathBuf> {
        let inside = group.strip_prefix(&self.root).unwrap_or(Path::new(""));
        let inside = if inside.starts_with("..") {
            Path::new("")
        } else {
            inside
        };
        inside
            .ancestors()
            .map(|path| self.point.join(path))
            .collect()
    }
}

/// The first mount whose file system type and super options are as asked:
/// `36 35 98:0 /root /mount/point rw,noatime master:1 - type source superoptions`.
fn mount(mountinfo: &str, wanted: impl Fn(&str, &str) -> bool) -> Option<Mount> {
    mountinfo.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let mut tail = tail.split(' ');
        let kind = tail.next()?;
        let options = tail.nth(1)?;
        let mut head = head.split(' ');
        let root = unescaped(head.nth(3)?);
        let point = unescaped(head.next()?);
        wanted(kind, options).then_some(Mount { root, point })
    })
}

/// The kernel writes blank, tab, newline and backslash as three octal digits.
fn unescaped(path: &str) -> PathBuf {
    let text = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(path.to_owned(), |path, (code, character)| {
        path.replace(code, character)
    });
    text.into()
}

/// `cpu.max` of cgroup v2: `150000 100000`, or `max 100000` without a quota.
fn quota_of_max(text: &str) -> Option<usize> {
    let mut fields = text.split_ascii_whitespace();
    let quota = fields.next()?.parse().ok()?;
    let period = match fields.next() {
        Some(period) => period.parse().ok()?,
        None => 100_000,
    };
    cpus(quota, period)
}

/// `cpu.cfs_quota_us` (-1: none) and `cpu.cfs_period_us` of cgroup v1.
fn quota_of_cfs(quota: &str, period: &str) -> Option<usize> {
    cpus(quota.trim().parse().ok()?, period.trim().parse().ok()?)
}

fn cpus(quota: u64, period: u64) -> Option<usize> {
    if period == 0 {
        return None;
    }
    usize::try_from(quota.div_ceil(period).max(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::{CoreId, Cpus, Mount, mount, quota, quota_of_cfs, quota_of_max};
    use std::{collections::BTreeMap, path::Path};

    const V2: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "25 18 0:22 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        26 18 0:23 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";

    #[test]
    fn quota_of_a_process() {
        let check = |cgroup: &str, mountinfo: &str, files: &[(&str, &str)], expected| {
            let files: BTreeMap<_, _> = files.iter().copied().collect();
            let read = |path: &Path| {
                let path = path.to_str().expect("test paths are UTF-8");
                files.get(path).map(|text| (*text).to_owned())
            };
            assert_eq!(quota(cgroup, mountinfo, read), expected, "{cgroup}");
        };
        check("", "", &[], None);
        check("0::/\n", V2, &[], None);
        check(
            "0::/system.slice/ringmain.service\n",
            V2,
            &[
                (
                    "/sys/fs/cgroup/system.slice/ringmain.service/cpu.max",
                    "max 100000\n",
                ),
                ("/sys/fs/cgroup/system.slice/cpu.max", "250000 100000\n"),
            ],
            Some(3),
        );
        // The tightest of the group and those above it counts.
        check(
            "0::/a/b\n",
            V2,
            &[
                ("/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n"),
                ("/sys/fs/cgroup/a/cpu.max", "50000 100000\n"),
            ],
            Some(1),
        );
        // A container sees its own group as the root of the mount.
        check(
            "0::/\n",
            "30 23 0:26 /../../docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
            &[("/sys/fs/cgroup/cpu.max", "150000 100000\n")],
            Some(2),
        );
        check(
            "0::/docker/abc\n",
            "30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
            &[("/sys/fs/cgroup/cpu.max", "200000 100000\n")],
            Some(2),
        );
        check(
            "5:memory:/a\n4:cpu,cpuacct:/a\n0::/\n",
            V1,
            &[
                ("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "120000\n"),
                ("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"),
                ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
                ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ],
            Some(2),
        );
        // cpuset is another controller than cpu.
        check(
            "4:cpuset:/a\n",
            V1,
            &[("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "1")],
            None,
        );
    }

    #[test]
    fn quota_texts() {
        for (text, expected) in [
            ("max 100000\n", None),
            ("100000 100000\n", Some(1)),
            ("100001 100000\n", Some(2)),
            ("1000 100000\n", Some(1)),
            ("0 100000\n", Some(1)),
            ("300000\n", Some(3)),
            ("300000 0\n", None),
            ("", None),
            ("-5 10", None),
            ("1e5 100000", None),
        ] {
            assert_eq!(quota_of_max(text), expected, "{text:?}");
        }
        for (quota, period, expected) in [
            ("-1\n", "100000\n", None),
            ("250000\n", "100000\n", Some(3)),
            ("250000\n", "0\n", None),
            ("", "100000\n", None),
        ] {
            assert_eq!(quota_of_cfs(quota, period), expected, "{quota:?}");
        }
    }

    #[test]
    fn mount_points_are_unescaped() {
        let line = "1 2 0:1 / /mnt/a\\040b rw shared:1 master:2 - cgroup2 none rw\n";
        let expected = Mount {
            root: "/".into(),
            point: "/mnt/a b".into(),
        };
        assert_eq!(mount(line, |kind, _| kind == "cgroup2"), Some(expected));
        for torn in ["", "1 2 0:1 /", "1 2 0:1 / /mnt rw", "1 2 0:1 / /mnt - "] {
            assert_eq!(mount(torn, |_, _| true), None, "{torn:?}");
        }
    }

    fn cpus(cores: &[usize], quota: Option<usize>) -> Cpus {
        Cpus {
            cores: cores.iter().map(|&id| CoreId { id }).collect(),
            quota,
        }
    }

    #[test]
    fn workers() {
        for (cores, quota, expected) in [
            (&[0, 1, 2, 3][..], None, 4),
            (&[0, 1, 2, 3], Some(2), 2),
            (&[0, 1], Some(8), 2),
            (&[5], None, 1),
            (&[], None, 1),
            (&[], Some(3), 1),
        ] {
            assert_eq!(
                cpus(cores, quota).workers(),
                expected,
                "{cores:?} {quota:?}"
            );
        }
    }

    #[test]
    fn pins() {
        let none = |count| vec![None; count];
        for (cores, workers, offset, expected) in [
            (&[0, 2, 4][..], 3, 7, vec![Some(0), Some(2), Some(4)]),
            (&[0, 2, 4], 2, 0, vec![Some(0), Some(2)]),
            (&[0, 2, 4], 2, 5, vec![Some(4), Some(0)]),
            (&[0, 2, 4], 4, 0, none(4)),
            (&[], 2, 3, none(2)),
            (&[], 0, 3, vec![]),
        ] {
            let pins = cpus(cores, None).pins(workers, offset);
            let pins: Vec<_> = pins.iter().map(|pin| pin.map(|core| core.id)).collect();
            assert_eq!(pins, expected, "{cores:?} {workers} {offset}");
        }
    }

    #[test]
    fn this_process_has_a_cpu() {
        let cpus = Cpus::available();
        assert!(cpus.workers() >= 1);
        assert!(!cpus.cores.is_empty(), "Linux says where a thread may run");
    }
}
