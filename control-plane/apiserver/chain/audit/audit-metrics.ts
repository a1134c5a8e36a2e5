import type { MetricSource } from '#control-plane/apiserver/serve/metrics.ts';
import type { Audit } from './audit.ts';

/** Under kube-apiserver's names (apiserver/pkg/audit/metrics.go). */
export function auditMetrics(audit: Audit): MetricSource {
  return ({ Counter }, registers) => {
    const events: InstanceType<typeof Counter> = new Counter({
      name: 'apiserver_audit_event_total',
      help: 'Counter of audit events generated and sent to the audit backend.',
      registers,
      collect: (): void => set(events, {}, audit.counts.events),
    });
    const rejected: InstanceType<typeof Counter> = new Counter({
      name: 'apiserver_audit_requests_rejected_total',
      help: 'Counter of apiserver requests rejected due to an error in audit logging backend.',
      registers,
      collect: (): void => set(rejected, {}, audit.counts.requestsRejected),
    });
    const levels: InstanceType<typeof Counter<'level'>> = new Counter({
      name: 'apiserver_audit_level_total',
      help: 'Counter of policy levels for audit events (1 per request).',
      labelNames: ['level'],
      registers,
      collect: (): void => {
        levels.reset();
        for (const [level, count] of audit.counts.levels) levels.inc({ level }, count);
      },
    });
    const errors: InstanceType<typeof Counter<'plugin'>> = new Counter({
      name: 'apiserver_audit_error_total',
      help: 'Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.',
      labelNames: ['plugin'],
      registers,
      collect: (): void => {
        errors.reset();
        for (const [plugin, count] of audit.counts.errors) errors.inc({ plugin }, count);
      },
    });
  };

  function set(
    counter: { reset(): void; inc(labels: object, value: number): void },
    labels: object,
    value: number,
  ): void {
    counter.reset();
    counter.inc(labels, value);
  }
}
