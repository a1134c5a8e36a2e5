/** Messages of peers: DNS, CNI documents, netlink, supervisors, accounts of images, references, kubeconfigs. A value, or an error that says why. */
import {
  array,
  constantFrom,
  integer,
  json,
  oneof,
  record,
  string,
  tuple,
  uint8Array,
  type Arbitrary,
} from 'fast-check';
import { decode } from 'dns-packet';
import { expect } from 'vitest';
import { answer } from '#agent/dns/answer.ts';
import { emptyReply, parseQuery, rcode, renderReply } from '#agent/dns/message.ts';
import { parseAccounts, resolveUser } from '#agent/runtime/image-user.ts';
import { parseJsonObject } from '#api/cni/json-field.ts';
import { parseNetworkConfigList } from '#api/cni/network-config.ts';
import { parseResult, renderResult } from '#api/cni/result.ts';
import { formatReference, parseReference } from '#api/oci/reference.ts';
import { errnoOf, isPodwrightError } from '#base/errors.ts';
import { parseKubeconfig } from '#client/kubeconfig.ts';
import { createFrameDecoder } from '#native/launch/frame-decoder.ts';
import { decodeEvent as decodeSupervisorEvent, wireVersion } from '#native/launch/protocol.ts';
import { parseAcknowledgement, parseMessages } from '#native/netlink/codec.ts';
import { decodeAddress, decodeEvent, decodeLink, decodeRoute } from '#native/netlink/rtnetlink-decode.ts';
import { decodeConntrack } from '#native/nft/conntrack.ts';
import { fuzz } from './fuzz.ts';

const bytes = (maxLength: number): Arbitrary<Buffer> =>
  uint8Array({ maxLength, size: 'max' }).map((array) => Buffer.from(array));

/** Errors of ours are answers; others are faults. */
function told<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!isPodwrightError(error)) throw error;
    expect(
      ['E_INVALID', 'E_UNSUPPORTED', 'E_LIMIT', 'E_NOT_FOUND', 'E_API'],
      errnoOf(error) ?? error.message,
    ).toContain(error.code);
    return undefined;
  }
}

const label = oneof(
  constantFrom(
    'svc',
    'pod',
    'default',
    'kubernetes',
    'cluster',
    'local',
    '_tcp',
    '_https',
    'in-addr',
    'arpa',
    '10',
    'constructor',
    '10-0-0-1',
    '--',
    'xn--e1',
  ),
  string({ unit: 'binary', maxLength: 5 }),
).map((text) => Buffer.from(text).subarray(0, 63));
const dnsName = array(label, { maxLength: 8 }).map((labels) =>
  Buffer.concat([...labels.map((each) => Buffer.concat([Buffer.of(each.length), each])), Buffer.of(0)]),
);
const dnsMessage = record({
  flags: oneof(constantFrom(0x0100), integer({ min: 0, max: 0xffff })),
  counts: oneof(
    constantFrom([1, 0, 0, 0], [1, 0, 0, 1]),
    array(integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 4 }),
  ),
  name: oneof(
    dnsName,
    bytes(20),
    constantFrom(Buffer.of(0xc0, 0x0c), Buffer.of(0xc0, 0x0e, 0xc0, 0x0c), Buffer.of(0x40)),
  ),
  tail: oneof(
    tuple(constantFrom(1, 5, 12, 16, 28, 33, 41, 252, 255), constantFrom(1, 3, 255)).map(([type, kind]) =>
      Buffer.of(0, type, 0, kind),
    ),
    bytes(40),
  ),
  more: bytes(60),
}).map(({ flags, counts, name, tail, more }) => {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(flags, 2);
  for (const [index, count] of counts.entries()) head.writeUInt16BE(count, 4 + 2 * index);
  return Buffer.concat([head, name, tail, more]);
});
const view = {
  hasNamespace: (name: string) => name === 'default',
  service: (namespace: string, name: string) =>
    namespace === 'default' && name === 'kubernetes'
      ? ({
          kind: 'cluster',
          ips: ['10.96.0.1'],
          ports: [{ name: 'https', protocol: 'tcp', port: 443 }],
        } as const)
      : undefined,
  reverse: () => [],
};
const zone = { zone: 'cluster.local', ttlSeconds: 5, ownCidrs: ['10.96.0.0/16'] };

fuzz('DNS messages: an answer that is one, or none', {
  arbitrary: dnsMessage,
  seconds: 2,
  check: (message) => {
    const query = parseQuery(message);
    if (query === undefined) return;
    for (const transport of ['udp', 'tcp'] as const) {
      const { question } = query;
      const found =
        question === undefined || query.refusal !== undefined
          ? undefined
          : answer({ name: question.name, type: question.type }, view as never, zone);
      const answers = found !== undefined && 'answers' in found ? found.answers : [];
      const reply = renderReply(query, { ...emptyReply(query.refusal ?? rcode.noError), answers }, transport);
      expect(reply.length).toBeLessThanOrEqual(transport === 'udp' ? 1232 : 65_535);
      expect(reply.readUInt16BE(0)).toBe(query.id);
      decode(reply);
      const asked = query.questionBytes ?? Buffer.alloc(0);
      expect(reply.subarray(12, 12 + asked.length)).toEqual(asked);
    }
  },
});

/** A document with members that mean something, of any kind and nested. */
const member = constantFrom(
  'cniVersion',
  'name',
  'plugins',
  'type',
  'ips',
  'address',
  'interface',
  'interfaces',
  'routes',
  'dst',
  'gw',
  'dns',
  'nameservers',
  'capabilities',
  'disableCheck',
  'disableGC',
  'cniVersions',
  'sandbox',
  'mac',
  'mtu',
  '__proto__',
  'constructor',
);
const scalar = oneof(
  constantFrom<unknown>(
    '1.1.0',
    '0.3.1',
    '1.0.0',
    '9.9.9',
    'net',
    'bridge',
    '../x',
    '10.0.0.1/24',
    '::1/128',
    'eth0',
    true,
    false,
    null,
    0,
    -1,
    1e308,
    2 ** 53,
    '',
  ),
  string({ maxLength: 4 }),
);
const node = (depth: number): Arbitrary<unknown> =>
  depth === 0
    ? scalar
    : oneof(
        scalar,
        array(node(depth - 1), { maxLength: 3 }),
        array(tuple(member, node(depth - 1)), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
      );
const document = array(tuple(member, node(2)), { maxLength: 7 }).map((entries) =>
  Object.fromEntries([['cniVersion', '1.1.0'], ['name', 'net'], ...entries]),
);

fuzz('documents of CNI', {
  arbitrary: oneof(
    { weight: 8, arbitrary: document.map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: json() },
    { weight: 1, arbitrary: string({ maxLength: 20 }) },
  ),
  seconds: 1,
  check: (text) => {
    told(() => parseNetworkConfigList(text));
    const result = told(() => parseResult(parseJsonObject(text, 'result')));
    if (result === undefined) return;
    for (const version of ['0.3.1', '0.4.0', '1.1.0'] as const)
      told(() => parseResult(renderResult(result, version)));
  },
});

const attribute = tuple(
  integer({ min: 0, max: 30 }),
  oneof(bytes(20), constantFrom(Buffer.alloc(4), Buffer.alloc(16), Buffer.from('eth0\0'))),
).map(([type, value]) => {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(4 + value.length, 0);
  head.writeUInt16LE(type, 2);
  return Buffer.concat([head, value, Buffer.alloc(-value.length & 3)]);
});
const netlinkMessage = record({
  type: oneof(constantFrom(2, 3, 16, 17, 20, 21, 24, 25, 256), integer({ min: 0, max: 0xffff })),
  head: oneof(
    constantFrom(Buffer.alloc(4), Buffer.alloc(8), Buffer.alloc(12, 2), Buffer.alloc(16)),
    bytes(24),
  ),
  attributes: array(attribute, { maxLength: 6 }),
  off: oneof(
    { weight: 9, arbitrary: constantFrom(0) },
    { weight: 1, arbitrary: integer({ min: -20, max: 20 }) },
  ),
}).map(({ type, head, attributes, off }) => {
  const body = Buffer.concat([head, ...attributes]);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(Math.max(0, 16 + body.length + off), 0);
  header.writeUInt16LE(type, 4);
  return Buffer.concat([header, body, Buffer.alloc(-body.length & 3)]);
});

fuzz('replies of netlink', {
  arbitrary: tuple(array(netlinkMessage, { maxLength: 4 }), bytes(10)).map(([messages, tail]) =>
    Buffer.concat([...messages, tail]),
  ),
  seconds: 1,
  check: (data) => {
    for (const message of told(() => parseMessages(data)) ?? []) {
      for (const decoded of [
        decodeLink,
        decodeAddress,
        decodeRoute,
        decodeEvent,
        decodeConntrack,
        parseAcknowledgement,
      ])
        told(() => decoded(message));
    }
  },
});

const supervisorFrame = record({
  type: integer({ min: 60, max: 75 }),
  stream: integer({ min: 0, max: 3 }),
  body: oneof(
    bytes(200),
    constantFrom(16, 32, 96, 80, 160, 8, 0).map((length) => Buffer.alloc(length, 0xff)),
  ),
  version: constantFrom(wireVersion, wireVersion, wireVersion, 2),
  off: constantFrom(0, 0, 0, 0, 1, -1, 1e9),
}).map(({ type, stream, body, version, off }) => {
  const header = Buffer.alloc(12);
  header.writeUInt32LE(12 + body.length + off, 0);
  header.writeUInt8(version, 4);
  header.writeUInt8(type, 5);
  header.writeUInt16LE(stream, 6);
  return Buffer.concat([header, body]);
});

fuzz('what a supervisor says, at every cut', {
  arbitrary: tuple(array(supervisorFrame, { maxLength: 6 }), integer({ min: 1, max: 50 })),
  seconds: 1,
  check: ([frames, step]) => {
    const stream = Buffer.concat(frames);
    const read = (size: number): unknown => {
      const decoder = createFrameDecoder();
      const events: unknown[] = [];
      for (let at = 0; at < stream.length; at += size) {
        const whole = told(() => decoder.push(stream.subarray(at, at + size)));
        if (whole === undefined) return 'refused';
        for (const frame of whole) events.push(told(() => decodeSupervisorEvent(frame)) ?? 'refused');
      }
      return events;
    };
    expect(read(step)).toEqual(read(stream.length + 1));
  },
});

const accountWord = oneof(
  constantFrom(
    'root',
    'x',
    '0',
    '1000',
    '4294967295',
    '99999999999',
    '-1',
    'constructor',
    '__proto__',
    ':',
    '\n',
    ',',
    '#',
    '+',
    '\0',
  ),
  string({ unit: 'binary', maxLength: 3 }),
);
const accountText = array(accountWord, { maxLength: 40, size: 'max' }).map((words) =>
  words.join(':').replaceAll(':\n:', '\n'),
);

fuzz('accounts of images', {
  arbitrary: record({
    passwd: accountText,
    group: accountText,
    user: array(accountWord, { maxLength: 3 }).map((words) => words.join(':')),
  }),
  seconds: 1,
  check: ({ passwd, group, user }) => {
    const accounts = parseAccounts(passwd, group);
    const resolved = told(() => resolveUser({ fsGroups: [] } as never, user, accounts));
    if (resolved === undefined) return;
    for (const id of [resolved.uid, resolved.gid, ...resolved.additionalGids]) {
      expect(Number.isInteger(id) && id >= 0 && id < 0xffff_ffff, `${id}`).toBe(true);
    }
  },
});

fuzz('references of images, and kubeconfigs', {
  arbitrary: array(
    oneof(
      constantFrom(
        'a',
        'docker.io',
        'localhost:5000',
        '/',
        ':',
        '@',
        'sha256:',
        '0'.repeat(64),
        'A',
        '..',
        '-',
        '__',
        'clusters',
        '\n',
        '- name: a',
        '  ',
        '{',
        '[',
        '&a',
        '*a',
        'contexts:',
      ),
      string({ maxLength: 4 }),
    ),
    { maxLength: 10 },
  ).map((parts) => parts.join('')),
  seconds: 1,
  check: (text) => {
    const reference = told(() => parseReference(text));
    if (reference !== undefined) expect(parseReference(formatReference(reference))).toEqual(reference);
    told(() => parseKubeconfig(text, { directory: '/' }));
    told(() => parseKubeconfig(`current-context: a\n${text}`, { directory: '/' }));
  },
});
