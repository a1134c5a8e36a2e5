import { expect, it } from 'vitest';
import { RequestCounts, type RequestLabels } from './request-counts.ts';

const get: RequestLabels = {
  ...{ verb: 'GET', group: '', version: 'v1', resource: 'configmaps', subresource: '', scope: 'resource' },
  ...{ dryRun: '', systemClient: '' },
};

it('requests are counted by how they ended, their times and sizes by what they are', () => {
  const counts = new RequestCounts();
  counts.observe({ labels: get, code: 200, seconds: 0.01, bytes: 1_000 });
  counts.observe({ labels: get, code: 404, seconds: 100, bytes: 1_001 });
  counts.observe({ labels: { ...get, verb: 'PUT', dryRun: 'All' }, code: 200, seconds: 0.2, bytes: 5 });
  counts.observe({
    labels: { ...get, verb: 'WATCH', systemClient: 'kube-scheduler' },
    code: 200,
    seconds: 9,
    bytes: undefined,
  });
  const lines = counts.metrics.flatMap(({ name, read }) =>
    read()
      .filter(({ labels: { le = '+Inf' } }) => ['0.005', '0.025', '1000', '+Inf'].includes(le))
      .map(({ metricName = name, labels: { verb, code = '', le = '', dry_run: dry = '' }, value }) =>
        [metricName, verb, code, le, dry, value].join(' '),
      ),
  );
  const times = (name: string, dry: string): readonly string[] => [
    ...[`${name}_bucket GET  0.005  0`, `${name}_bucket GET  0.025  1`, `${name}_bucket GET  +Inf  2`],
    ...[`${name}_sum GET    100.01`, `${name}_count GET    2`],
    ...[`${name}_bucket PUT  0.005 ${dry} 0`, `${name}_bucket PUT  0.025 ${dry} 0`],
    ...[`${name}_bucket PUT  +Inf ${dry} 1`, `${name}_sum PUT   ${dry} 0.2`, `${name}_count PUT   ${dry} 1`],
  ];
  expect(lines).toEqual([
    'apiserver_request_total GET 200   1',
    'apiserver_request_total GET 404   1',
    'apiserver_request_total PUT 200  All 1',
    'apiserver_request_total WATCH 200   1',
    ...times('apiserver_request_duration_seconds', 'All'),
    ...times('apiserver_request_sli_duration_seconds', ''),
    'apiserver_response_sizes_bucket GET  1000  1',
    'apiserver_response_sizes_bucket GET  +Inf  2',
    'apiserver_response_sizes_sum GET    2001',
    'apiserver_response_sizes_count GET    2',
  ]);
});
