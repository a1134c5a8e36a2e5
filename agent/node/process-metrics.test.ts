import { expect, test } from 'vitest';
import { parseIpOctets, parseLimit, readProcess, renderProcess } from './process-metrics.ts';

const limits = [
  'Limit                     Soft Limit           Hard Limit           Units     ',
  'Max open files            1024                 4096                 files     ',
  'Max address space         unlimited            unlimited            bytes     ',
].join('\n');

test('limits are the soft ones, and none is none', () => {
  expect(parseLimit(limits, 'Max open files')).toBe(1024);
  expect(parseLimit(limits, 'Max address space')).toBe(Infinity);
});

test('bytes of IP are those below their names', () => {
  const text = 'TcpExt: InOctets\nTcpExt: 1\nIpExt: InNoRoutes InOctets OutOctets\nIpExt: 0 7 9\n';
  expect(parseIpOctets(text)).toEqual({ receivedBytes: 7, sentBytes: 9 });
  expect(parseIpOctets('')).toEqual({ receivedBytes: 0, sentBytes: 0 });
});

test('this process has sizes within its limits', () => {
  const facts = readProcess(Date.now());
  expect(facts.residentBytes).toBeGreaterThan(0);
  expect(facts.virtualBytes).toBeGreaterThan(facts.residentBytes);
  expect(facts.openFds).toBeGreaterThan(0);
  expect(facts.openFds).toBeLessThan(facts.openFdsMax);
  const text = renderProcess({ ...facts, virtualBytesMax: Infinity }).join('\n');
  expect(text).toContain('\nprocess_virtual_memory_max_bytes 18446744073709552000\n');
  expect(text).not.toMatch(/NaN|undefined/);
});
