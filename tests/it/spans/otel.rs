//! The same as OpenTelemetry has it, by its own layer and collector.

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceId, TraceState, TracerProvider};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler, SamplingDecision, SamplingResult, SdkTracerProvider,
    ShouldSample, SpanData,
};
use tasklock::{By, ErrorKind, MemoryLock, RunNow};
use tracing::Instrument;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use crate::instances::Fleet;
use crate::support::lines::Lines;
use crate::support::{Bench, pass};

/// As in the manual.
#[derive(Debug, Clone)]
struct Wanted;

impl ShouldSample for Wanted {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        attributes: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let is_dropped =
            |a: &KeyValue| a.key.as_str() == "sampling.priority" && a.value == Value::I64(0);
        SamplingResult {
            decision: match attributes.iter().any(is_dropped) {
                true => SamplingDecision::Drop,
                false => SamplingDecision::RecordAndSample,
            },
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}

/// What this thread's spans become.
struct Collected {
    exporter: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    _guard: DefaultGuard,
}

impl Collected {
    fn listen() -> Self {
        Lines::among_others();
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Wanted)))
            .with_simple_exporter(exporter.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let guard = tracing::subscriber::set_default(Registry::default().with(layer));
        Self {
            exporter,
            _provider: provider,
            _guard: guard,
        }
    }

    fn named(&self, name: &str) -> Vec<SpanData> {
        let all = self.exporter.get_finished_spans().unwrap();
        all.into_iter().filter(|span| span.name == name).collect()
    }

    fn one(&self, name: &str) -> SpanData {
        let [one] = self.named(name).try_into().unwrap();
        one
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_run_that_is_not_wanted_nothing_is_collected() {
    let spans = Collected::listen();
    let bench = Bench::with(
        |clock| MemoryLock::with_clock(clock),
        |builder| builder.trace_sample(0.25),
    );
    bench.task("often", "* * * * * *", |_| async {
        tracing::info_span!("query").in_scope(|| {});
        Ok(())
    });
    bench.start().await;
    pass(300.5).await;
    let runs = spans.named("run often");
    assert!((30..120).contains(&runs.len()), "{}", runs.len());
    for within in ["attempt 1", "query"] {
        let found = spans.named(within);
        assert_eq!(found.len(), runs.len(), "{within}");
        for (span, run) in found.iter().zip(&runs) {
            let trace = |span: &SpanData| span.span_context.trace_id();
            assert_eq!(trace(span), trace(run), "{within}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_somebody_asked_for_is_linked_to_their_request() {
    let spans = Collected::listen();
    let fleet = Fleet::new();
    let all = ["a", "b"].map(|id| fleet.instance(id));
    for bench in &all {
        bench.task("t", "0 0 0 * * *", |_| async { Ok(()) });
        bench.start().await;
    }
    pass(0.1).await;
    let by = By::new("ana", "a test").unwrap();
    let asked = fleet.control.run(RunNow::new("t", &by).on("b"));
    let receipt = asked.instrument(tracing::info_span!("request")).await;
    assert!(receipt.unwrap().answer.is_accepted());
    pass(5.0).await;
    let (request, run) = (spans.one("request"), spans.one("run t"));
    let links: Vec<&SpanContext> = run.links.iter().map(|link| &link.span_context).collect();
    let [link] = links[..] else {
        panic!("{links:?}");
    };
    assert_eq!(link.trace_id(), request.span_context.trace_id());
    assert_eq!(link.span_id(), request.span_context.span_id());
    // A link, and no child of it.
    assert_ne!(run.span_context.trace_id(), request.span_context.trace_id());
    let named = run.attributes.iter();
    let named = named.filter(|a| a.key.as_str() == "task.request.traceparent");
    assert_eq!(named.count(), 1);
    // What the schedule starts has none, nor does what nobody asked for in a span.
    let asked = fleet.control.run(RunNow::new("t", &by));
    assert!(asked.await.unwrap().answer.is_accepted());
    pass(5.0).await;
    let links: Vec<usize> = spans.named("run t").iter().map(|r| r.links.len()).collect();
    assert_eq!(links, [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_span_can_be_named_that_is_not_the_current_one() {
    let spans = Collected::listen();
    let fleet = Fleet::new();
    let bench = fleet.instance("a");
    bench.task("t", "0 0 0 * * *", |_| async { Ok(()) });
    bench.start().await;
    pass(0.1).await;
    let by = By::new("ana", "a test").unwrap();
    let run = || RunNow::new("t", &by);
    let known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let receipt = fleet.control.run(run().traceparent(known)).await.unwrap();
    assert!(receipt.answer.is_accepted());
    pass(5.0).await;
    let links = spans.one("run t").links;
    assert_eq!(
        links[0].span_context.trace_id().to_string(),
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    let starts = bench.seen.starts("t");
    let request = starts[0].request.as_ref().unwrap();
    assert_eq!(request.traceparent.as_deref(), Some(known));
    for bad in ["", "00-0-0-0", "\u{1b}[31m", &"0".repeat(1 << 20)] {
        let refused = fleet.control.run(run().traceparent(bad)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidConfig);
        assert!(refused.to_string().len() < 300, "{refused}");
    }
}
