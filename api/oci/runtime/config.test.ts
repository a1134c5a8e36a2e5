import { describe, expect, test } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import { configBytesMax, parseOciConfig, parseOciProcess, parseOciResources } from './config.ts';

const healthy = {
  ociVersion: '1.2.0',
  root: { path: 'rootfs' },
  process: { args: ['sh'], cwd: '/' },
  linux: { namespaces: [{ type: 'mount' }] },
};

const parse = (change: object): ReturnType<typeof parseOciConfig> =>
  parseOciConfig(JSON.stringify({ ...healthy, ...change }));

describe('parseOciConfig()', () => {
  test('takes what is well formed, and what is null as not there', () => {
    expect(parse({ hostname: null }).config).toEqual(healthy);
  });

  test('names members that it does not know, which are no errors', () => {
    expect(parse({ linux: { namespaces: [], later: 1 }, other: {} }).unknown).toEqual([
      'linux.later',
      'other',
    ]);
  });

  test.each([
    ['an old version', { ociVersion: '0.9.0' }, 'ociVersion: 0.9.0 is none of 1.x.y'],
    ['no root', { root: undefined }, 'root: it is missing'],
    ['a text for a list', { process: { args: 'sh', cwd: '/' } }, 'process.args: not a list'],
    ['a NUL', { hostname: 'a\0b' }, 'hostname: it holds a NUL'],
    [
      'half an id',
      { process: { ...healthy.process, user: { uid: 1.5 } } },
      'process.user.uid: not a whole number',
    ],
    [
      'an unknown namespace',
      { linux: { namespaces: [{ type: 'moon' }] } },
      'linux.namespaces[0].type: "moon" is none of',
    ],
    ['resctrl', { linux: { intelRdt: { closID: 'x' } } }, 'linux.intelRdt: resctrl is not written'],
    [
      'a label',
      { process: { ...healthy.process, selinuxLabel: 'x' } },
      'process.selinuxLabel: SELinux labels',
    ],
    [
      'network devices',
      { linux: { netDevices: { eth0: {} } } },
      'linux.netDevices: network devices are not moved',
    ],
    [
      'memory policies',
      { linux: { memoryPolicy: { mode: 'MPOL_BIND' } } },
      'linux.memoryPolicy: memory policies',
    ],
    [
      'classes of packets',
      { linux: { resources: { network: { classID: 1 } } } },
      'linux.resources.network: ',
    ],
    [
      'swappiness',
      { linux: { resources: { memory: { swappiness: 10 } } } },
      'linux.resources.memory.swappiness: ',
    ],
    ['Windows', { windows: { layerFolders: ['x'] } }, 'windows: this is Linux'],
  ])('refuses %s by name', (_name, change, message) => expect(() => parse(change)).toThrow(message));

  test('passes over what is refused where it says nothing', () => {
    expect(parse({ linux: { intelRdt: {}, mountLabel: '' } }).unknown).toEqual([]);
  });

  test('has a bound', () => {
    expect(() => parseOciConfig(' '.repeat(configBytesMax + 1))).toThrow('at most');
  });

  const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? 1);
  test(`survives documents of anything (seed ${seed})`, () => {
    const random = randomOf(seed);
    for (let turn = 0; turn < 2000; turn++) {
      const text = mutate(JSON.stringify(healthy), random);
      for (const each of [parseOciConfig, parseOciProcess, parseOciResources]) {
        try {
          each(text);
        } catch (error) {
          expect(error, text).toBeInstanceOf(PodwrightError);
        }
      }
    }
  });
});

/** A linear congruential generator: numbers below `max`. */
function randomOf(seed: number): (max: number) => number {
  let state = seed >>> 0;
  return (max) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * max);
  };
}

const pieces = ['null', '{}', '[]', '""', '-1', '1e308', 'true', '{"a":[]}', '"__proto__"', '[[[]]]'];

/** A value of the document, or some characters, become something else. */
function mutate(text: string, random: (max: number) => number): string {
  const values = [...text.matchAll(/"[^"]*"(?!:)|\{\}|\[[^[\]]*\]|\d+/g)];
  const chosen = values[random(values.length)];
  if (chosen === undefined || random(4) === 0) return text.slice(0, random(text.length));
  const piece = pieces[random(pieces.length)] ?? '';
  return text.slice(0, chosen.index) + piece + text.slice(chosen.index + chosen[0].length);
}
