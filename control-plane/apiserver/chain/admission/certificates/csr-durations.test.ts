import { expect, it } from 'vitest';
import { createAuthority } from '#control-plane/apiserver/pki/certificate.ts';
import type { Counting } from '#control-plane/apiserver/serve/counters.ts';
import { countDuration, isHonored } from './csr-durations.ts';

it('countDuration() counts what was issued first, by the names of few signers', async () => {
  const { certPem } = await createAuthority('a', Date.now());
  const certificate = Buffer.from(certPem).toString('base64');
  const counted: string[] = [];
  const counting: Counting = {
    count: ({ name }, labels) =>
      void counted.push(`${name.split('_').at(4)} ${Object.values(labels).join()}`),
    measure: () => undefined,
    series: () => ({ add: () => undefined }),
  };
  const tenYears = 10 * 365.25 * 86_400;
  const old = (signerName: string, expirationSeconds?: number): object => ({
    spec: { signerName, ...(expirationSeconds === undefined ? {} : { expirationSeconds }) },
  });
  const issued = { status: { certificate } };
  const kubelet = 'kubernetes.io/kubelet-serving';
  countDuration(counting, { ...old(kubelet) }, issued);
  countDuration(counting, { ...old(kubelet, tenYears) }, { status: { certificate: 'Yw==' } });
  countDuration(counting, { ...old(kubelet, tenYears), ...issued }, issued);
  countDuration(counting, { ...old(kubelet, tenYears) }, {});
  expect(counted).toEqual([]);
  countDuration(counting, { ...old(kubelet, tenYears) }, issued);
  countDuration(counting, { ...old('example.com/a', 600) }, issued);
  expect(counted).toEqual([`requested ${kubelet}`, `honored ${kubelet}`, 'requested other']);
});

it.each([
  [3600, 3600, true],
  [3600, 3100, false],
  [3600, 3200, true],
  [600, 3600, false],
])('isHonored() of %d and %d', (wanted, got, want) => {
  expect(isHonored(wanted, got)).toBe(want);
});
