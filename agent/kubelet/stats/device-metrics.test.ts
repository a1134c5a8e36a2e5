import { expect, it } from 'vitest';
import { DeviceCounts, labelValuesMax, timed } from '#agent/device/device-counts.ts';
import { renderDeviceMetrics } from './device-metrics.ts';

it('devices are counted by the names that kubelets have, and nothing is said of what never was', async () => {
  const counts = new DeviceCounts();
  expect(renderDeviceMetrics(counts)).toBe('');
  counts.count(counts.registrations, 'example.com/gpu');
  counts.count(counts.registrations, 'example.com/gpu');
  counts.observe(counts.allocations, 'example.com/gpu', 0.3);
  counts.count(counts.podResources, 'requests_list');
  counts.observe(counts.driverCalls, 'gpu.example NodePrepareResources DeadlineExceeded', 45);
  const failing = timed(
    async () => {
      throw new Error('no');
    },
    () => 0,
    (seconds, error) =>
      counts.observe(counts.claimOperations, `PrepareResources ${error !== undefined}`, seconds),
  );
  await expect(failing).rejects.toThrow('no');
  const lines = renderDeviceMetrics(counts).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'kubelet_device_plugin_registration_total{resource_name="example.com/gpu"} 2',
      'kubelet_device_plugin_alloc_duration_seconds_bucket{resource_name="example.com/gpu",le="0.25"} 0',
      'kubelet_device_plugin_alloc_duration_seconds_bucket{resource_name="example.com/gpu",le="0.5"} 1',
      'dra_operations_duration_seconds_count{operation_name="PrepareResources",is_error="true"} 1',
      'dra_grpc_operations_duration_seconds_sum{driver_name="gpu.example",method_name="NodePrepareResources",grpc_status_code="DeadlineExceeded"} 45',
      'kubelet_pod_resources_endpoint_requests_list{server_api_version="v1"} 1',
    ]),
  );
});

it('names that plugins make up are counted together beyond a bound', () => {
  const counts = new DeviceCounts();
  for (let index = 0; index < labelValuesMax + 10; index++)
    counts.count(counts.registrations, `a.b/${index}`);
  expect(counts.registrations.size).toBe(labelValuesMax + 1);
  expect(counts.registrations.get('others')).toBe(10);
});
