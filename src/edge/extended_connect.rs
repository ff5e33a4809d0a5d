//! Websockets over HTTP/2 (RFC 8441): the CONNECT of a stream becomes the upgrade that apps know from HTTP/1.1 (RFC 6455 §4).

use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    ext::Protocol,
    header::{CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
};

use super::body::Answer;

const WEBSOCKET: &str = "websocket";

/// Makes a request for a websocket what it is in HTTP/1.1; false, and unchanged, when it is another request.
pub(super) fn translate(request: &mut Request<Incoming>, random: impl FnMut() -> u64) -> bool {
    let protocol = request.extensions().get::<Protocol>();
    if request.method() != Method::CONNECT || protocol.is_none_or(|protocol| protocol.as_str() != WEBSOCKET) {
        return false;
    }
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
    headers.insert(SEC_WEBSOCKET_KEY, key(random));
    true
}

/// 16 random bytes in base64, as apps want them; of HTTP/2 clients have none (RFC 8441 §5).
fn key(mut random: impl FnMut() -> u64) -> HeaderValue {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut letters: [u8; 24] = std::array::from_fn(|_| LETTERS[(random() >> 58) as usize]);
    // The last letter of the bytes stands for two bits alone.
    letters[21] = b"AQgw"[(random() >> 62) as usize];
    letters[22..].fill(b'=');
    HeaderValue::from_bytes(&letters).unwrap_or_else(|_| HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAA=="))
}

/// What the app answered, as it is in HTTP/2: a success opens the tunnel, and nothing else may be one.
pub(super) fn translate_back(mut answer: Response<Answer>) -> Response<Answer> {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        *answer.status_mut() = StatusCode::OK;
        for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
            answer.headers_mut().remove(name);
        }
        return answer;
    }
    if !answer.status().is_success() {
        return answer;
    }
    let mut refused = Response::new(Answer::whole("the app answers here, but not as a websocket\n"));
    *refused.status_mut() = StatusCode::BAD_GATEWAY;
    refused.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sixteen_bytes() {
        let mut number = 0_u64;
        let made = key(|| {
            number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
            number
        });
        let text = made.to_str().unwrap();
        assert_eq!((text.len(), &text[22..]), (24, "=="), "{text}");
        assert!("AQgw".contains(&text[21..22]), "{text}");
    }
}
