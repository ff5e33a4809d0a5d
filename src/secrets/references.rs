//! References that lead out of the store: variables and files of the engine's machine.

use std::{fs::File, io::Read, path::PathBuf};

use crate::model::{
    problem::Problem,
    secret::{LONGEST, Secret},
};

/// A variable of this process.
pub fn of_environment(name: &str) -> Result<Secret, Problem> {
    match std::env::var(name) {
        Ok(value) => Ok(Secret(value)),
        Err(std::env::VarError::NotUnicode(_)) => Err(Problem::user(format!("the engine's variable {name} is not text"))
            .hint("store it encoded: pilothouse secret set NAME")),
        Err(std::env::VarError::NotPresent) => {
            Err(Problem::not_found(format!("the engine's environment has no {name}")).hint(format!(
                "start the engine with {name} set, or keep the value in the store: pilothouse secret set NAME --from-env {name}"
            )))
        }
    }
}

/// What a file holds, without a line end at its end.
pub async fn of_file(path: PathBuf) -> Result<Secret, Problem> {
    let read = tokio::task::spawn_blocking(move || read(path)).await;
    read.unwrap_or_else(|error| Err(Problem::internal(format!("reading a secret broke off: {error}"))))
}

fn read(path: PathBuf) -> Result<Secret, Problem> {
    let shown = path.display().to_string();
    let refused =
        |what: String| Problem::not_found(what).hint(format!("write the value to {shown}, readable by the engine's user"));
    // A pipe or a device could keep the engine waiting.
    if !path.metadata().map_err(|error| refused(format!("{shown} cannot be read: {error}")))?.is_file() {
        return Err(refused(format!("{shown} is not a file")));
    }
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(|error| refused(format!("{shown} cannot be read: {error}")))?;
    file.take(LONGEST as u64 + 3).read_to_end(&mut bytes).map_err(|error| refused(format!("{shown} cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| refused(format!("{shown} does not hold text")))?;
    Ok(Secret(without_end(&text).to_owned()))
}

/// Without the line end that editors and `echo` put at the end.
pub fn without_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_text_without_the_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2 \n\r\n").unwrap();
        assert_eq!(read(path).unwrap().0, "hunter2 \n");
    }

    #[test]
    fn what_is_no_readable_text_file_is_refused_with_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("odd");
        std::fs::write(&odd, [0xff, 0xfe]).unwrap();
        for path in [folder.path().join("absent"), folder.path().to_owned(), odd, "/dev/zero".into()] {
            let problem = read(path).unwrap_err();
            assert!(problem.next.is_some(), "{problem}");
        }
    }
}
