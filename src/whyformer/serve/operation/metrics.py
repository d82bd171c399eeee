"""Metrics in Prometheus' format; no label holds what a client has written."""

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from whyformer.serve.operation.lifecycle import Lifecycle
from whyformer.serve.service import Service

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SENTENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServiceMetrics:
    """Counters of one service, in a registry of their own."""

    def __init__(self, service: Service, lifecycle: Lifecycle) -> None:
        registry = self.registry = CollectorRegistry()
        """Registry that holds them."""
        ProcessCollector(registry=registry)
        registry.register(_State(service, lifecycle))
        self._requests = Counter(
            "whyformer_requests", "Requests answered.", ["protocol", "status"], registry=registry
        )
        self._refused = Counter(
            "whyformer_refused", "Requests refused.", ["protocol", "reason"], registry=registry
        )
        self._latency = Histogram(
            "whyformer_request_seconds",
            "Time from a request's head to the end of its answer.",
            ["protocol"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._tokens = Counter("whyformer_tokens", "Tokens written.", ["run"], registry=registry)
        self._texts = Counter("whyformer_texts", "Texts answered.", ["run"], registry=registry)
        # By protocol, status and reason; not yet in the others.
        self._shed = Tally[tuple[str, str, str]]()
        service.observe(_QueueMetrics(registry))

    def answered(self, protocol: str, status: int, seconds: float) -> None:
        """Count a request that was answered by ``status`` after ``seconds``; 499 if its client has left."""
        self._requests.labels(protocol, f"{status // 100}xx").inc()
        self._latency.labels(protocol).observe(seconds)

    def refused(self, protocol: str, reason: str) -> None:
        """Count a refusal."""
        self._refused.labels(protocol, reason).inc()

    def shed(self, protocol: str, status: int, reason: str) -> None:
        """Count a request that was refused at its head: no more than that, as it has to cost little."""
        self._shed[protocol, f"{status // 100}xx", reason] += 1

    def wrote(self, run: str, texts: int, tokens: int) -> None:
        """Count ``texts`` that ``run`` has answered by so many ``tokens``."""
        self._texts.labels(run).inc(texts)
        self._tokens.labels(run).inc(tokens)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        for (protocol, status, reason), count in self._shed.items():
            self._requests.labels(protocol, status).inc(count)
            self._refused.labels(protocol, reason).inc(count)
        self._shed.clear()
        return generate_latest(self.registry)


class _QueueMetrics:
    """Metrics of queues, as they tell them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._wait = Histogram(
            "whyformer_queue_wait_seconds",
            "Time from a request to its computing.",
            ["run"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._batch = Histogram(
            "whyformer_batch_texts", "Texts side by side.", ["run"], buckets=_SENTENCES, registry=registry
        )

    def waited(self, run: str, seconds: float) -> None:
        self._wait.labels(run).observe(seconds)

    def batched(self, run: str, texts: int) -> None:
        self._batch.labels(run).observe(texts)


class _State(Collector):
    """State of a service at the moment of asking."""

    def __init__(self, service: Service, lifecycle: Lifecycle) -> None:
        self._service = service
        self._lifecycle = lifecycle

    @override
    def collect(self):
        runs = GaugeMetricFamily("whyformer_run", "Runs that are served.", labels=["run", "task", "weights"])
        for run in self._service.runs.values():
            runs.add_metric([run.name, run.task, run.weights], 1)
        yield runs
        lifecycle = self._lifecycle
        yield GaugeMetricFamily("whyformer_ready", "Whether new requests are taken.", lifecycle.is_ready)
        yield GaugeMetricFamily("whyformer_running", "Requests being answered.", lifecycle.running)
        yield GaugeMetricFamily("whyformer_sessions", "WebSockets that are open.", lifecycle.sessions)
        depths = GaugeMetricFamily("whyformer_queue_depth", "Texts that wait.", labels=["run"])
        for name, depth in self._service.depths().items():
            depths.add_metric([name], depth)
        yield depths
