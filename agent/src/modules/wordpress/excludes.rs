//! What is left out of a WordPress backup unless its settings say otherwise: caches, which make
//! themselves anew, and the archives of other backup plugins, which are often larger than the site.

/// Paths below the content folder.
pub const EXCLUDES: &[&str] = &[
    // Caches of pages, objects and minified files.
    "cache",
    "et-cache",
    "litespeed",
    "wphb-cache",
    "wp-rocket-config/cache",
    "uploads/cache",
    "uploads/sucuri/cache",
    "endurance-page-cache",
    // What an update leaves behind.
    "upgrade",
    "upgrade-temp-backup",
    // Other backup plugins.
    "updraft",
    "ai1wm-backups",
    "backups",
    "backup-db",
    "backup-guard",
    "backups-dup-lite",
    "backups-dup-pro",
    "backupwordpress-*",
    "backuply",
    "wpvividbackups",
    "WPvivid_Uploads",
    "infinitewp/backups",
    "managewp/backups",
    "mwp-backups",
    "mainwp/backup",
    "uploads/backup-*",
    "uploads/backupbuddy_backups",
    "uploads/backupbuddy_temp",
    "uploads/pb_backupbuddy",
    "uploads/backwpup-*",
    "uploads/mainwp/backup",
    "uploads/snapshots",
    "uploads/wp-clone",
    "uploads/wp-migrate-db",
    "uploads/wp-staging",
];
