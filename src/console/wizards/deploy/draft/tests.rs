use super::*;

fn source(text: &str, reference: &str) -> Source {
    let draft = Draft { source: Field::with(text), reference: Field::with(reference), ..Draft::default() };
    draft.source(Path::new("/home/me")).unwrap()
}

#[test]
fn a_source_is_what_it_looks_like() {
    assert_eq!(source("shop", ""), Source::Folder { path: "/home/me/shop".into() });
    assert_eq!(source("", ""), Source::Folder { path: "/home/me".into() });
    assert_eq!(source("/srv/shop", ""), Source::Folder { path: "/srv/shop".into() });
    assert_eq!(source("./my:shop", ""), Source::Folder { path: "/home/me/./my:shop".into() });
    for url in ["https://git.example/a.git", "git@git.example:a/b.git", "file:///srv/a.git"] {
        assert_eq!(source(url, "main"), Source::Git { url: url.into(), reference: Some("main".into()) });
    }
    assert_eq!(source("shop", "v2"), Source::Git { url: "/home/me/shop".into(), reference: Some("v2".into()) });
    for image in ["nginx:1.27", "registry.example:5000/team/shop:v7"] {
        assert_eq!(source(image, ""), Source::Image { reference: image.into() });
    }
}

#[test]
fn what_is_said_wins_over_what_it_looks_like() {
    let draft = Draft { kind: Kind::Image, source: Field::with("nginx"), ..Draft::default() };
    assert_eq!(draft.source(Path::new("/")).unwrap(), Source::Image { reference: "nginx".into() });
}

#[test]
fn a_field_says_what_is_wrong_while_it_is_written() {
    let draft = Draft {
        name: Field::with("My Shop"),
        port: Field::with("70000"),
        replicas: Field::with("0"),
        variable: Field::with("LOG LEVEL=info"),
        ..Draft::default()
    };
    for input in [Input::Name, Input::Port, Input::Replicas, Input::Variable] {
        assert!(draft.trouble(input).is_some(), "{input:?}");
    }
    assert_eq!(Draft::default().trouble(Input::Name), None);
}

#[test]
fn the_manifest_of_a_draft_is_a_manifest() {
    let mut draft = Draft {
        name: Field::with("shop"),
        install: Field::with("npm ci"),
        start: Field::with("node \"server.js\""),
        replicas: Field::with("3"),
        source: Field::with("file:///srv/shop.git"),
        watch: Field::with("main"),
        strategy: Some(Strategy::Recreate),
        variable: Field::with("LOG_LEVEL=info"),
        ..Draft::default()
    };
    draft.add_variable();
    let read = crate::config::manifest_file::read(&draft.manifest(), "pilothouse.toml").unwrap();
    assert_eq!(read.process["web"].command.as_deref(), Some("node \"server.js\""));
    assert_eq!((read.process["web"].replicas, read.env["LOG_LEVEL"].as_str()), (3, "info"));
    assert_eq!((read.watch.as_deref(), read.rollout.strategy), (Some("main"), Strategy::Recreate));
    draft.edit_last_variable();
    assert_eq!((draft.variables.len(), draft.variable.text()), (0, "LOG_LEVEL=info"));
}
