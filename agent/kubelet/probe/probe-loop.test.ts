import { describe, expect, test } from 'vitest';
import type { Probe } from '#api/generated/objects.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { createFakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import type { HandlerResult } from './handler.ts';
import { followProbes, probeEventOf, type ProbeType } from './probe-loop.ts';

describe('probeEventOf()', () => {
  // As Probe of pkg/kubelet/prober/prober.go tells them.
  test.each<[string, HandlerResult, ReturnType<typeof probeEventOf>]>([
    ['nothing of what is good', { isSuccess: true, output: 'ok' }, undefined],
    [
      'a failure',
      { isSuccess: false, output: 'no' },
      { reason: 'Unhealthy', message: 'Liveness probe failed: no' },
    ],
    [
      'a warning',
      { isSuccess: true, isWarning: true, output: 'hm' },
      { reason: 'ProbeWarning', message: 'Liveness probe warning: hm' },
    ],
    [
      'what could not be asked',
      { isSuccess: false, errored: 'unknown', output: 'why' },
      { reason: 'Unhealthy', message: 'Liveness probe errored and resulted in unknown state: why' },
    ],
  ])('tells %s', (_name, result, event) => {
    expect(probeEventOf('liveness', result)).toEqual(event);
  });
});

describe('followProbes()', () => {
  /** What is noted, told and counted while the runtime answers so: an exit code, or nobody. */
  async function followed(
    probes: Readonly<Partial<Record<ProbeType, Probe>>>,
    answers: readonly ('late' | 'nobody')[],
  ) {
    const clock = createFakeClock();
    const fake = createFakeRuntime({ clock });
    const waiting = [...answers];
    const asked: string[] = [];
    const exec: typeof fake.exec = async () => {
      const answer = waiting.length > 1 ? waiting.shift() : waiting[0];
      asked.push(String(answer));
      throw answer === 'nobody'
        ? new PodwrightError('E_NOT_FOUND', 'exec: no such file')
        : new PodwrightError('E_TIMEOUT', 'exec: DeadlineExceeded');
    };
    const container = {
      name: 'c',
      ...Object.fromEntries(Object.entries(probes).map(([type, probe]) => [`${type}Probe`, probe])),
    };
    const target = { pod: { metadata: { uid: 'u' } }, container, containerId: 'x', podIp: '127.0.0.1' };
    const [notes, told, counted]: [unknown[], string[], string[]] = [[], [], []];
    const end = new AbortController();
    const done = followProbes(
      { target, startedAtMs: 0, hasStarted: false },
      {
        ...{ runtime: { exec }, clock, signal: end.signal, killing: end.signal },
        note: (change) => void notes.push(change),
        tell: (_type, { message }) => void told.push(message),
        onResult: (type, isSuccess) => void counted.push(`${type} ${String(isSuccess)}`),
      },
    ).catch(() => undefined);
    for (let second = 0; second < 6; second++) {
      await untilTurnsEnd();
      clock.advance(1000);
    }
    await untilTurnsEnd();
    end.abort();
    await done;
    return { notes, told: new Set(told), counted, asked };
  }
  const probe = { exec: { command: ['x'] }, periodSeconds: 1, failureThreshold: 1 };

  test.each<ProbeType>(['startup', 'liveness', 'readiness'])(
    'a %s probe that nobody can run says nothing of the container, is tried three times, and told',
    async (type) => {
      const { notes, told, counted, asked } = await followed({ [type]: probe }, ['nobody']);
      expect(notes.filter((note) => !('hasStarted' in Object(note)))).toEqual([]);
      expect([...told]).toEqual([
        expect.stringMatching(/ probe errored and resulted in unknown state: exec: no such file/),
      ]);
      expect(counted).toEqual([]);
      expect(asked.length % 3).toBe(0);
    },
  );

  test('one that takes too long is a failure', async () => {
    const { notes, counted } = await followed({ liveness: probe }, ['late']);
    expect(notes).toContainEqual({ failure: { probe: 'liveness', message: 'exec: DeadlineExceeded' } });
    expect(counted).toEqual(['liveness false']);
  });
});
