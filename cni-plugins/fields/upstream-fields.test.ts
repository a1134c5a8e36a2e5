import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, objectOf } from '#api/wire/json.ts';
import type { DhcpDaemon } from '#cni-plugins/dhcp/daemon.ts';
import { createPluginRegistry } from '#cni-plugins/registry.ts';
import { recordCall } from './recording.fixture.ts';
import { upstreamFields, type FieldProof, type PluginFields } from './upstream-fields.fixture.ts';

const directory = scratchDirectory('podwright-fields-');
const log = join(directory, 'iptables.log');

/** Tells nobody's rule to be there, and writes down what is asked. */
const fakeIptables = `#!/bin/sh
echo "\${0##*/} $*" >> '${log}'
case "$*" in *' -C '*) exit 1;; esac
`;

beforeEach(() => {
  for (const [name, subnet] of [
    ['subnet.env', '10.3.1.1/24'],
    ['second.env', '10.3.2.1/24'],
  ] as const)
    writeFileSync(
      join(directory, name),
      `FLANNEL_NETWORK=10.3.0.0/16\nFLANNEL_SUBNET=${subnet}\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n`,
    );
  writeFileSync(join(directory, 'resolv.conf'), 'nameserver 192.0.2.53\n');
  for (const program of ['iptables', 'ip6tables']) {
    writeFileSync(join(directory, program), fakeIptables);
    chmodSync(join(directory, program), 0o755);
  }
  vi.stubEnv('PATH', `${directory}${delimiter}${process.env['PATH'] ?? ''}`);
  vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', `unix:path=${join(directory, 'no-bus')}`);
});

afterEach(() => {
  vi.unstubAllEnvs();
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
});

/** Says what it is asked for. */
function recordedDaemon(lines: string[]): DhcpDaemon {
  return {
    acquire: async (request) => {
      lines.push(JSON.stringify(request));
      return {
        address: '10.9.0.5/24',
        gateway: '10.9.0.1',
        routes: [],
        dns: {},
        server: '10.9.0.1',
        serverMac: '02:00:00:00:00:01',
        renewMs: 500,
        rebindMs: 800,
        expiryMs: 1000,
      };
    },
    release: async () => undefined,
    leaseOf: async () => undefined,
    retain: async () => undefined,
    ping: async () => undefined,
  };
}

/** A copy with a value at a path; undefined takes it away. */
function withValue(value: unknown, steps: readonly string[], to: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined) return to;
  if (Array.isArray(value))
    return value.map((each: unknown, index) => (String(index) === step ? withValue(each, rest, to) : each));
  const { [step]: old, ...others } = isObject(value) ? value : {};
  const next = withValue(old, rest, to);
  return next === undefined ? others : { ...others, [step]: next };
}

const resolved = (value: unknown): JsonObject =>
  objectOf(JSON.parse(JSON.stringify(value).replaceAll('DIR', directory)));

interface Viewed {
  readonly type: string;
  readonly config: JsonObject;
  readonly path?: string;
  readonly to?: unknown;
}

/** What ADD does and says with a field, what is then on the disk, and what DEL does. */
async function view({ type, config, path, to }: Viewed): Promise<string> {
  const { args, ...given } = config;
  const isArg = path?.startsWith('CNI_ARGS.') === true;
  const argument = isArg && to !== undefined ? { [path.slice('CNI_ARGS.'.length)]: String(to) } : {};
  const isOfCall = isObject(args) && !('cni' in args);
  const document = isOfCall ? given : config;
  const changed = path === undefined || isArg ? document : withValue(document, path.split('.'), to);
  const asked: string[] = [];
  const registry = createPluginRegistry(undefined, recordedDaemon(asked));
  const call = {
    type,
    config: resolved(changed),
    args: { ...(isOfCall ? (args as Record<string, string>) : {}), ...argument },
  };
  const add = await recordCall(registry, { ...call, command: 'ADD' });
  const files = readdirSync(directory, { recursive: true }).map(String).toSorted();
  const del = await recordCall(registry, { ...call, command: 'DEL' });
  const ran = existsSync(log) ? readFileSync(log, 'utf8') : '';
  rmSync(log, { force: true });
  for (const name of files.filter((each) => /^(10\.|net|other|flannel|c1_)/.test(each)))
    rmSync(join(directory, name), { recursive: true, force: true });
  return [...add, ...asked, ...files, ...del, ran].join('\n');
}

type Row = readonly [type: string, path: string, proof: FieldProof, of: PluginFields];

const rows = Object.entries(upstreamFields).flatMap(([type, of]) =>
  Object.entries(of.fields).map(([path, proof]): Row => [of.through ?? type, path, proof, of]),
);
const rowsOf = (kind: FieldProof['kind']): readonly Row[] =>
  rows.filter(([, , proof]) => proof.kind === kind);
/** Of an ADD or DEL that failed. */
const failure = /"code":/;

describe('a field of upstream that is acted on', () => {
  test.each(rowsOf('acted'))('%s %s', async (type, path, proof, { base }) => {
    if (proof.kind !== 'acted') return;
    const config = { ...base, ...proof.on };
    const without = await view({ type, config, path, to: proof.from });
    expect(await view({ type, config, path, to: proof.from }), 'the same twice').toBe(without);
    const seen = await view({ type, config, path, to: proof.to });
    expect(seen).not.toMatch(failure);
    expect(seen === without, `${path} is ignored`).toBe(false);
  });

  test.each(rowsOf('named'))('%s %s: its test is there', (_type, _path, proof) => {
    if (proof.kind === 'named') expect(readFileSync(proof.file, 'utf8')).toContain(proof.name);
  });
});

describe('a field of upstream that is refused', () => {
  test.each(rowsOf('refused'))('%s %s: by its name', async (type, path, proof, { base }) => {
    if (proof.kind !== 'refused') return;
    const seen = await view({ type, config: base, path, to: proof.to });
    expect(seen).toContain('"code":2');
    expect(seen).toMatch(new RegExp(`"msg":"${type}: ${path}`));
  });
});

test.each(rowsOf('needless'))('%s %s is read, and changes nothing', async (type, path, proof, { base }) => {
  if (proof.kind !== 'needless') return;
  expect(await view({ type, config: base, path, to: proof.to })).toBe(await view({ type, config: base }));
  expect(await view({ type, config: base, path, to: {} })).toMatch(failure);
});

test.each(Object.entries(upstreamFields))('%s: what nobody knows is passed over', async (name, of) => {
  const type = of.through ?? name;
  const plain = await view({ type, config: of.base });
  expect(plain).not.toMatch(failure);
  expect(await view({ type, config: { ...of.base, unknownField: { deep: [1] } } })).toBe(plain);
});

test('the rows are of all plugins', () => {
  const known = [...createPluginRegistry().keys()].toSorted();
  expect(
    Object.keys(upstreamFields)
      .filter((name) => name !== 'routes')
      .toSorted(),
  ).toEqual(known);
});
