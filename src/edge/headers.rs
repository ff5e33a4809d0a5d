//! What the edge changes in heads: hop-by-hop fields, who the client is, request ids.

use hyper::{
    HeaderMap, Request,
    header::{CONNECTION, EXPECT, FORWARDED, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE},
};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// Fields of this name belong to the edge; an app that sends them is not believed.
const OURS: &str = "x-pilothouse-";
/// Longest request id that is taken from a client.
const LONGEST_ID: usize = 128;

/// Removes what concerns one connection only (RFC 9110 §7.6.1).
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    let trailers = headers.get(TE).map(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    if trailers == Some(false) {
        headers.remove(TE);
    }
}

/// Who asks, as the app shall be told.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// Address of the connection's other end.
    pub address: HeaderValue,
    /// `http` or `https`.
    pub scheme: HeaderValue,
    /// Whether it is a proxy whose word about its own client is taken.
    pub is_trusted: bool,
}

/// Makes the head of a request fit for an app. `host` is the name that was asked.
pub(super) fn prepare_request(headers: &mut HeaderMap, asker: &Asker, host: HeaderValue, id: HeaderValue) {
    strip_hop_by_hop(headers);
    // The edge itself says `100 Continue`, when it begins to read the body.
    headers.remove(EXPECT);
    if asker.is_trusted {
        let chain = match headers.get(&FORWARDED_FOR) {
            Some(before) => HeaderValue::from_bytes(&[before.as_bytes(), b", ", asker.address.as_bytes()].concat()),
            None => Ok(asker.address.clone()),
        };
        headers.insert(FORWARDED_FOR, chain.unwrap_or_else(|_| asker.address.clone()));
        headers.entry(FORWARDED_PROTO).or_insert_with(|| asker.scheme.clone());
        headers.entry(FORWARDED_HOST).or_insert(host);
    } else {
        headers.remove(FORWARDED);
        headers.remove(REAL_IP);
        headers.insert(FORWARDED_FOR, asker.address.clone());
        headers.insert(FORWARDED_PROTO, asker.scheme.clone());
        headers.insert(FORWARDED_HOST, host);
    }
    headers.insert(REQUEST_ID, id);
}

/// Takes a route's path off a request; the app is told by `X-Forwarded-Prefix`.
pub(super) fn strip_prefix<B>(request: &mut Request<B>, prefix: &str) {
    let whole = request.uri().path_and_query().map_or("", |whole| whole.as_str());
    let rest = whole.strip_prefix(prefix).unwrap_or(whole);
    let shorter = if rest.starts_with('/') { rest.parse() } else { format!("/{rest}").parse() };
    // What was a path with its query is still one after a whole segment is gone.
    if let (Ok(uri), Ok(prefix)) = (shorter, HeaderValue::from_str(prefix)) {
        *request.uri_mut() = uri;
        request.headers_mut().insert(FORWARDED_PREFIX, prefix);
    }
}

/// Makes the head of an app's answer fit for a client.
pub(super) fn prepare_answer(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    if headers.keys().any(|name| name.as_str().starts_with(OURS)) {
        let ours: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(OURS)).cloned().collect();
        for name in ours {
            headers.remove(name);
        }
    }
}

/// Whether a client's request id is fit to be passed on, logged and given back.
pub(super) fn is_sane_id(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=');
    !bytes.is_empty() && bytes.len() <= LONGEST_ID && bytes.iter().all(allowed)
}

/// Whether `Connection: upgrade` and a protocol to change to are there.
pub(super) fn asks_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        && headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade")))
}

/// Seconds that a back end says it keeps an idle connection: `Keep-Alive: timeout=5, max=100`.
pub(super) fn keep_alive_seconds(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    value.split(',').find_map(|part| part.trim().strip_prefix("timeout=")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn prepared(pairs: &[(&'static str, &'static str)], is_trusted: bool) -> HeaderMap {
        let mut headers = headers(pairs);
        let scheme = HeaderValue::from_static("http");
        let asker = Asker { address: HeaderValue::from_static("10.0.0.9"), scheme, is_trusted };
        prepare_request(&mut headers, &asker, HeaderValue::from_static("shop.localhost"), HeaderValue::from_static("id"));
        headers
    }

    #[test]
    fn what_concerns_one_connection_stays_there() {
        let told = prepared(
            &[
                ("connection", "close, X-Secret-Hop"),
                ("x-secret-hop", "1"),
                ("keep-alive", "timeout=5"),
                ("te", "gzip"),
                ("accept", "*/*"),
            ],
            false,
        );
        for name in ["connection", "x-secret-hop", "keep-alive", "te"] {
            assert!(!told.contains_key(name), "{name}");
        }
        assert_eq!(told["accept"], "*/*");
    }

    #[test]
    fn a_stripped_path_keeps_its_query() {
        for (asked, seen) in [("/api", "/"), ("/api?a=1", "/?a=1"), ("/api/", "/"), ("/api/x/y?b=%2F", "/x/y?b=%2F")] {
            let mut request = Request::get(asked).body(()).unwrap();
            strip_prefix(&mut request, "/api");
            assert_eq!(request.uri(), seen);
            assert_eq!(request.headers()["x-forwarded-prefix"], "/api");
        }
    }

    #[test]
    fn a_client_cannot_say_who_it_is() {
        let told = prepared(&[("x-forwarded-for", "1.2.3.4"), ("x-real-ip", "1.2.3.4"), ("forwarded", "for=1.2.3.4")], false);
        assert_eq!(told["x-forwarded-for"], "10.0.0.9");
        assert_eq!(told["x-forwarded-proto"], "http");
        assert!(!told.contains_key("x-real-ip") && !told.contains_key("forwarded"));
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_added() {
        let told = prepared(&[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")], true);
        assert_eq!(told["x-forwarded-for"], "1.2.3.4, 10.0.0.9");
        assert_eq!(told["x-forwarded-proto"], "https");
    }

    #[test]
    fn an_app_cannot_speak_for_the_edge() {
        let mut answer = headers(&[("x-pilothouse-release", "9"), ("content-type", "text/html")]);
        prepare_answer(&mut answer);
        assert!(!answer.contains_key("x-pilothouse-release"));
    }

    #[test]
    fn a_request_id_that_could_break_a_log_is_not_taken() {
        assert!(is_sane_id(&HeaderValue::from_static("9f86d081-884c")));
        for odd in ["", "a b", "\"}", "<script>"] {
            assert!(!is_sane_id(&HeaderValue::from_static(odd)), "{odd}");
        }
    }

    #[test]
    fn an_upgrade_needs_both_fields() {
        assert!(asks_upgrade(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")])));
        assert!(!asks_upgrade(&headers(&[("upgrade", "h2c")])));
        assert!(!asks_upgrade(&headers(&[("connection", "upgrade")])));
    }

    proptest! {
        #[test]
        fn no_connection_field_breaks_the_stripping(value in "[ -~]{0,60}") {
            let mut map = HeaderMap::new();
            map.insert(CONNECTION, HeaderValue::from_str(&value).unwrap());
            strip_hop_by_hop(&mut map);
            prop_assert!(!map.contains_key(CONNECTION));
            let _ = keep_alive_seconds(&map);
        }
    }
}
