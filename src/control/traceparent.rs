//! The span in which something was asked for, as W3C Trace Context writes it:
//! `00-<trace, 32 digits>-<span, 16 digits>-<flags, 2 digits>`.

#[cfg(feature = "otel")]
pub(crate) use otel::{current, link};

/// Whether a text is one, of a trace and a span that there are.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let is_hex = |part: &str, length| part.len() == length && part.bytes().all(is_digit);
    let is_some = |id: &str, length| is_hex(id, length) && id.bytes().any(|b| b != b'0');
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    let [version, trace, span, flags] = parts.as_slice() else {
        return false;
    };
    *version == "00" && is_some(trace, 32) && is_some(span, 16) && is_hex(flags, 2)
}

#[cfg(feature = "otel")]
mod otel {
    use std::sync::Arc;

    use opentelemetry::trace::{
        SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    };
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::is_traceparent;

    /// The current span, if a layer of `tracing-opentelemetry` knows it.
    pub(crate) fn current() -> Option<Arc<str>> {
        let context = Span::current().context();
        let span = context.span();
        let span = span.span_context();
        let (trace, id, flags) = (span.trace_id(), span.span_id(), span.trace_flags());
        let text = format!("00-{trace}-{id}-{:02x}", flags.to_u8());
        span.is_valid().then(|| text.into())
    }

    /// Links a span to the one in which it was asked for.
    pub(crate) fn link(span: &Span, traceparent: &str) {
        let mut parts = traceparent.split('-').skip(1);
        let mut next = || parts.next().unwrap_or_default();
        let trace = TraceId::from_hex(next()).unwrap_or(TraceId::INVALID);
        let id = SpanId::from_hex(next()).unwrap_or(SpanId::INVALID);
        let flags = TraceFlags::new(u8::from_str_radix(next(), 16).unwrap_or_default());
        if is_traceparent(traceparent) {
            span.add_link(SpanContext::new(trace, id, flags, true, TraceState::NONE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_trace_and_a_span_is_one() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        assert!(is_traceparent(&format!("00-{trace}-{span}-01")));
        let none = "0".repeat(32);
        for text in [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-"),
            format!("01-{trace}-{span}-01"),
            format!("00-{none}-{span}-01"),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{trace}-{span}-0\u{1b}"),
            "-".repeat(1 << 20),
        ] {
            assert!(!is_traceparent(&text), "{:.60}", text);
        }
    }
}
