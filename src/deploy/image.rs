//! From what an image says of itself to how it is run.

use crate::model::{
    container::ImageFacts,
    recipe::{Proof, Recipe},
};

/// The recipe of an image: nothing to build, its own command.
pub fn recipe(image: &ImageFacts) -> Recipe {
    let mut proof = vec![Proof { file: image.reference.clone(), why: told(image) }];
    if let Some(note) = &image.note {
        proof.push(Proof { file: image.reference.clone(), why: note.clone() });
    }
    Recipe {
        language: "image".to_owned(),
        runtime: "docker".to_owned(),
        port: image.ports.first().copied(),
        proof,
        ..Recipe::default()
    }
}

fn told(image: &ImageFacts) -> String {
    let command = if image.command.is_empty() { "names no command".to_owned() } else { format!("runs {}", image.command) };
    match image.ports.as_slice() {
        [] => format!("{command}, exposes no port: it is to listen on PORT"),
        [port] => format!("{command}, listens on {port}"),
        [port, ..] => format!("{command}, listens on {port} and {} more", image.ports.len() - 1),
    }
}
