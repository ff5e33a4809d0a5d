//! The name of an app that nobody named: made from its source.

use crate::model::{ids::AppId, problem::Problem, source::Source};

/// What the edge's own log is named.
const EDGE: &str = "edge";

/// Name of an app from its source alone.
pub fn default_name(source: &Source) -> AppId {
    AppId::suggest(&written(source))
}

/// Refuses a name that stands for something else already.
pub fn check(app: &AppId) -> Result<(), Problem> {
    if app.as_str() != EDGE {
        return Ok(());
    }
    Err(Problem::user("`edge` cannot be an app's name: `pilothouse logs edge` shows the edge itself")
        .at("name")
        .hint("give another one: --name edge-app, or `name` in pilothouse.toml"))
}

/// The name that the source has, where `app` was made from it and is another: a folder `Café` makes the app `cafe`.
pub fn made_from(app: &AppId, source: &Source) -> Option<String> {
    let written = written(source);
    (written != app.as_str() && AppId::suggest(&written) == *app).then_some(written)
}

/// The last word of a path, a URL or an image.
fn written(source: &Source) -> String {
    let last = match source {
        Source::Folder { path } => path.file_name().map(|name| name.to_string_lossy().into_owned()),
        Source::Git { url, .. } => {
            let trimmed = url.trim_end_matches('/').trim_end_matches(".git").trim_end_matches('/');
            trimmed.rsplit(['/', ':']).next().map(str::to_owned)
        }
        Source::Image { reference } => {
            let named = reference.split('@').next().unwrap_or_default();
            named.rsplit('/').next().and_then(|last| last.split(':').next()).map(str::to_owned)
        }
    };
    last.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(url: &str) -> Source {
        Source::Git { url: url.to_owned(), reference: None }
    }

    #[test]
    fn the_edges_own_name_is_refused() {
        assert!(check(&AppId::parse("edge").unwrap()).is_err_and(|problem| problem.next.is_some()));
        assert!(check(&AppId::parse("edge-app").unwrap()).is_ok());
    }

    #[test]
    fn a_repository_gives_its_last_word_as_name() {
        let name = |url: &str| default_name(&git(url)).to_string();
        assert_eq!(name("https://git.example/me/My.Shop.git"), "my-shop");
        assert_eq!(name("git@git.example:shop.git"), "shop");
    }

    #[test]
    fn accents_are_dropped_and_it_is_told_from_what_a_name_was_made() {
        let folder = Source::Folder { path: "/src/Café Straße".into() };
        let app = default_name(&folder);
        assert_eq!(app.as_str(), "cafe-strasse");
        assert_eq!(made_from(&app, &folder).as_deref(), Some("Café Straße"));
        let shop = AppId::parse("shop").unwrap();
        assert_eq!(made_from(&shop, &folder), None, "it was named otherwise");
        assert_eq!(made_from(&shop, &git("https://git.example/shop.git")), None, "nothing to tell");
    }
}
