/** The kernel's own opinion of the limits, through a supervisor: what passes the check is executed. */
import { describe, expect, it } from 'vitest';
import { argumentBytesMax, argumentOverheadBytes, argumentsBytesMax } from './argument-limits.ts';
import { createKernelPod } from './kernel.fixture.ts';

describe.skipIf(process.getuid?.() !== 0)('arguments and environment on the kernel (needs root)', () => {
  const spare = 4096; // The program's own name, PATH and the script.

  it('executes with as much in the longest strings', async () => {
    await using pod = await createKernelPod();

    const count = Math.floor((argumentsBytesMax - spare) / (argumentBytesMax + argumentOverheadBytes));
    const env = Array.from({ length: count }, (_, index) => `V${index}=`.padEnd(argumentBytesMax, 'x'));
    const { code, stdout } = await pod.run({ ...pod.container('echo ${#V1}'), env });
    expect([code, stdout]).toEqual([0, [String(argumentBytesMax - 'V1='.length)]]);
  });

  it('executes with as much in the smallest strings', async () => {
    await using pod = await createKernelPod();

    const base = pod.container('echo $#');
    const count = Math.floor((argumentsBytesMax - spare) / (1 + argumentOverheadBytes));
    const args = [...base.args, 'sh', ...Array.from({ length: count }, () => 'x')];
    const { code, stdout } = await pod.run({ ...base, args });
    expect([code, stdout]).toEqual([0, [String(count)]]);
  });

  it('says that one string more is too long', async () => {
    await using pod = await createKernelPod();

    const env = [`V=${'x'.repeat(argumentBytesMax)}`];
    await expect(pod.run({ ...pod.container('true'), env })).rejects.toThrow('argument list too long');
  });
});
