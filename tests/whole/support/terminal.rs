//! A pseudo-terminal with the console in it: keys in, screen out.

use std::{
    io::{Read, Write},
    num::NonZeroU16,
    sync::{Arc, Mutex},
    time::Duration,
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::{
    app::binary,
    wait::{seconds, until_some},
};

/// The console in a terminal.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts `pilothouse ARGUMENTS` in a terminal of `columns` × `rows`.
    pub fn start(columns: u16, rows: u16, arguments: &[&str]) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(binary());
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        command.env("LANG", "C.UTF-8");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PILOTHOUSE_") || name == "NO_COLOR") {
            command.env_remove(name);
        }
        let child = pair.slave.spawn_command(command).expect("the binary runs");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keys = pair.master.take_writer().expect("a writer");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(rows), cells(columns), 0)));
        let raw = Arc::new(Mutex::new(Vec::new()));
        let (drawn, bytes) = (screen.clone(), raw.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            // Ends with the terminal.
            while let Ok(length) = reader.read(&mut buffer) {
                if length == 0 {
                    break;
                }
                drawn.lock().expect("nobody panics with the lock").process(&buffer[..length]);
                bytes.lock().expect("nobody panics with the lock").extend_from_slice(&buffer[..length]);
            }
        });
        Self { child, master: pair.master, keys, screen, raw }
    }

    /// Types `text`: `\r` is Enter, `\x1b` Esc, `\x03` Ctrl-C.
    pub fn keys(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).expect("the terminal takes keys");
        self.keys.flush().expect("the terminal takes keys");
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).expect("a terminal can be resized");
        self.screen.lock().expect("nobody panics with the lock").screen_mut().set_size(cells(rows), cells(columns));
    }

    /// What stands on the screen.
    pub fn text(&self) -> String {
        self.screen.lock().expect("nobody panics with the lock").screen().contents()
    }

    /// Waits until `text` stands on the screen.
    pub fn await_text(&self, text: &str) {
        self.await_screen(&format!("`{text}` on the screen"), seconds(20), |screen| screen.contains(text));
    }

    pub fn await_screen(&self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) {
        until_some(what, limit, || wanted(&self.text()).then_some(()), || self.text());
    }

    /// Whether the program has given the terminal back: main screen, visible cursor.
    pub fn is_restored(&self) -> bool {
        let parser = self.screen.lock().expect("nobody panics with the lock");
        let screen = parser.screen();
        !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste()
    }

    /// Bytes written so far.
    pub fn written(&self) -> usize {
        self.raw.lock().expect("nobody panics with the lock").len()
    }

    pub fn pid(&self) -> i32 {
        self.child.process_id().expect("the console runs").cast_signed()
    }

    /// Waits for the program's end; gives its exit code.
    pub fn end(&mut self) -> u32 {
        let child = &mut self.child;
        let status =
            until_some("the console's end", seconds(10), || child.try_wait().expect("a child can be waited for"), String::new);
        status.exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            // Nothing is lost when it ended meanwhile.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN)
}
