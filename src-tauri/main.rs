//! The desktop application. Everything is in the library, so that tests reach it.

// No console window beside the application's own on Windows.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

fn main() {
    backupd_desktop::app::run();
}
