import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

/** Names, types and labels of a kube-apiserver 1.36.2, without what a histogram adds. */
const observed: readonly (readonly [name: string, type: string, labels: string])[] = [
  ['apiserver_current_inqueue_requests', 'gauge', 'request_kind'],
  ['apiserver_flowcontrol_current_executing_requests', 'gauge', 'flow_schema,priority_level'],
  ['apiserver_flowcontrol_current_executing_seats', 'gauge', 'flow_schema,priority_level'],
  ['apiserver_flowcontrol_current_inqueue_requests', 'gauge', 'flow_schema,priority_level'],
  ['apiserver_flowcontrol_current_inqueue_seats', 'gauge', 'flow_schema,priority_level'],
  ['apiserver_flowcontrol_current_limit_seats', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_current_r', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_demand_seats', 'histogram', 'priority_level'],
  ['apiserver_flowcontrol_demand_seats_average', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_demand_seats_high_watermark', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_demand_seats_smoothed', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_demand_seats_stdev', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_dispatch_r', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_dispatched_requests_total', 'counter', 'flow_schema,priority_level'],
  ['apiserver_flowcontrol_latest_s', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_lower_limit_seats', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_next_discounted_s_bounds', 'gauge', 'bound,priority_level'],
  ['apiserver_flowcontrol_next_s_bounds', 'gauge', 'bound,priority_level'],
  ['apiserver_flowcontrol_nominal_limit_seats', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_priority_level_request_utilization', 'histogram', 'phase,priority_level'],
  ['apiserver_flowcontrol_priority_level_seat_utilization', 'histogram', 'phase,priority_level'],
  ['apiserver_flowcontrol_read_vs_write_current_requests', 'histogram', 'phase,request_kind'],
  ['apiserver_flowcontrol_request_execution_seconds', 'histogram', 'flow_schema,priority_level,type'],
  ['apiserver_flowcontrol_request_queue_length_after_enqueue', 'histogram', 'flow_schema,priority_level'],
  ['apiserver_flowcontrol_request_wait_duration_seconds', 'histogram', 'execute,flow_schema,priority_level'],
  ['apiserver_flowcontrol_seat_fair_frac', 'gauge', ''],
  ['apiserver_flowcontrol_target_seats', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_upper_limit_seats', 'gauge', 'priority_level'],
  ['apiserver_flowcontrol_watch_count_samples', 'histogram', 'flow_schema,priority_level'],
  ['apiserver_flowcontrol_work_estimated_seats', 'histogram', 'flow_schema,priority_level'],
];
/** Which have numbers only when somebody had to wait. */
const ofWaiting = /_(dispatch_r|latest_s|next_s_bounds|next_discounted_s_bounds)$/;

describe('flowMetrics()', () => {
  let test: TestServer;
  let text = '';
  beforeAll(async () => {
    test = await startTestServer();
    await using tenant = test.server.transport({ name: 'tenant', groups: [] });

    for (let i = 0; i < 3; i++) await tenant.request({ method: 'GET', path: '/version', headers: {} });
    await test.make('/api/v1/namespaces', { metadata: { name: 'written' } });
    const watch = test.watch('/api/v1/namespaces?watch=1&timeoutSeconds=1', new AbortController().signal);
    for await (const _event of watch) continue;
    ({ text } = await test.call('GET', '/metrics'));
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each(observed)('has %s, a %s of %s', (name, type, labels) => {
    expect(text).toContain(`# TYPE ${name} ${type}\n`);
    const lines = text
      .split('\n')
      .filter((line) => new RegExp(`^${name}(_bucket|_sum|_count)?[{ ]`).test(line));
    if (ofWaiting.test(name)) return;
    expect(lines.length, name).toBeGreaterThan(0);
    const names = new Set(lines.flatMap((line) => [...line.matchAll(/(\w+)="/g)].map(([, label]) => label)));
    names.delete('le');
    expect([...names].toSorted()).toEqual(labels === '' ? [] : labels.split(','));
  });

  it('counts each request once, where it belongs', () => {
    const of = 'flow_schema="global-default",priority_level="global-default"';
    expect(text).toContain(`apiserver_flowcontrol_dispatched_requests_total{${of}} 3\n`);
    expect(text).toContain(`apiserver_flowcontrol_request_execution_seconds_count{${of},type="regular"} 3\n`);
    expect(text).toContain(`apiserver_flowcontrol_current_executing_requests{${of}} 0\n`);
    expect(text).toContain('apiserver_flowcontrol_nominal_limit_seats{priority_level="workload-low"} 245\n');
  });
});
