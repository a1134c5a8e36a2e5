import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import { parseEncryptionConfiguration } from './configuration.ts';
import { Transformers } from './transformers.ts';

const head = 'apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n';
const key32 = Buffer.alloc(32, 'a').toString('base64');
const cbc = `aescbc: { keys: [{ name: key1, secret: ${key32} }] }`;
const one = (resources: string, providers: string): string =>
  `${head}resources: [{ resources: [${resources}], providers: [${providers}] }]`;
const kms = (more: string): string =>
  one('secrets', `{ kms: { apiVersion: v2, name: k, endpoint: "unix:///run/kms.sock"${more} } }`);

describe('parseEncryptionConfiguration()', () => {
  it('reads all providers', () => {
    const text = `${head}resources:
- resources: [secrets, "*.apps"]
  providers:
  - kms: { apiVersion: v2, name: k, endpoint: "unix:///run/kms.sock", timeout: 5s }
  - ${cbc}
  - aesgcm: { keys: [{ name: g, secret: ${Buffer.alloc(16).toString('base64')} }] }
  - secretbox: { keys: [{ name: s, secret: ${key32} }] }
  - identity: {}
`;
    const secret = Buffer.alloc(32, 'a');
    expect(parseEncryptionConfiguration(text).resources).toEqual([
      {
        resources: ['secrets', '*.apps'],
        providers: [
          { kind: 'kms', name: 'k', endpoint: 'unix:///run/kms.sock', timeoutMs: 5000 },
          { kind: 'aescbc', keys: [{ name: 'key1', secret }] },
          { kind: 'aesgcm', keys: [{ name: 'g', secret: Buffer.alloc(16) }] },
          { kind: 'secretbox', keys: [{ name: 's', secret }] },
          { kind: 'identity' },
        ],
      },
    ]);
  });

  // The first seven as observed on kube-apiserver 1.36.2.
  it.each([
    [
      one('secrets', ''),
      'resources[0].providers: Required value: at least one resources[0].providers is required',
    ],
    [
      one('secrets', `{ ${cbc}, identity: {} }`),
      'resources[0].providers[0]: Invalid value: "aescbc, identity": more than one provider specified in a single element, should split into different list elements',
    ],
    [
      one('secrets, secrets', '{ identity: {} }'),
      'resources[0].resources: Invalid value: ["secrets","secrets"]: the same resource cannot be specified multiple times',
    ],
    [
      one('secrets', '{ aescbc: { keys: [{ name: k, secret: YWJj }] } }'),
      'resources[0].providers[0].aescbc.keys[0].secret: Invalid value: "REDACTED": secret is not of the expected length, got 3, expected one of [16 24 32]',
    ],
    [
      one(
        'secrets',
        `{ secretbox: { keys: [{ name: k, secret: ${Buffer.alloc(16).toString('base64')} }] } }`,
      ),
      'resources[0].providers[0].secretbox.keys[0].secret: Invalid value: "REDACTED": secret is not of the expected length, got 16, expected one of [32]',
    ],
    [
      one('secrets', '{ aescbc: { keys: [{ name: k, secret: "not-base64!" }] } }'),
      'resources[0].providers[0].aescbc.keys[0].secret: Invalid value: "REDACTED": secrets must be base64 encoded',
    ],
    [
      one('"*.*", secrets', '{ identity: {} }'),
      `resources[0].resources: Invalid value: ["*.*","secrets"]: using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked`,
    ],
    [one('"*.", secrets', '{ identity: {} }'), 'using overlapping resources'],
    [
      one('secrets', '{ }'),
      'provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity',
    ],
    [
      `${head}resources: [{ resources: [secrets], providers: [{ identity: {} }], foo: 1 }]`,
      'strict decoding error: unknown field "resources[0].foo"',
    ],
    [
      'kind: Foo\napiVersion: apiserver.config.k8s.io/v1',
      'no kind "Foo" is known for version "apiserver.config.k8s.io/v1"',
    ],
    ['', 'it is empty'],
    [head, 'resources: Required value: at least one resources is required'],
    [one('', '{ identity: {} }'), 'resources[0].resources: Required value'],
    [one('Secrets', '{ identity: {} }'), 'resource name should not contain capital letters'],
    [one('"*"', '{ identity: {} }'), "use '*.' to encrypt all the resources from core API group"],
    [one('"secrets.*"', '{ identity: {} }'), 'encrypting the same resource across groups is not supported'],
    [one('events.events.k8s.io', '{ identity: {} }'), "objects are stored using the 'events' API group"],
    [
      one('serviceipallocations', '{ identity: {} }'),
      'resources which do not have REST API/s cannot be encrypted',
    ],
    [one('secrets', '{ aescbc: { } }'), 'resources[0].providers[0]'],
    [one('secrets', '{ aescbc: { keys: [{ name: k }] } }'), 'secret is a mandatory field for a key'],
    [one('secrets', `{ aescbc: { keys: [{ secret: ${key32} }] } }`), 'name is a mandatory field for a key'],
    [kms(', cachesize: 3'), 'cachesize is not supported in v2'],
    [kms(', timeout: 0s'), 'timeout should be a positive value'],
    [kms(', timeout: soon'), 'timeout should be a positive value'],
    [one('secrets', '{ kms: { name: k, endpoint: "unix:///a" } }'), 'only v2 is supported'],
    [
      one('secrets', '{ kms: { apiVersion: v2, name: "a:b", endpoint: "unix:///a" } }'),
      "must not contain ':'",
    ],
    [one('secrets', '{ kms: { apiVersion: v2, name: k, endpoint: "tcp://a" } }'), 'only unix is supported'],
    [one('secrets', '{ kms: { apiVersion: v2, name: k } }'), 'endpoint is a mandatory field for a kms'],
    [
      one(
        'secrets',
        '{ kms: { apiVersion: v2, name: k, endpoint: "unix:///a" } }, { kms: { apiVersion: v2, name: k, endpoint: "unix:///b" } }',
      ),
      'duplicate KMS provider name k',
    ],
  ])('refuses %#', (text, why) => {
    expect(() => parseEncryptionConfiguration(text)).toThrow(why);
  });

  it('shows no key in an error', () => {
    const secret = Buffer.alloc(31, 'sursum').toString('base64');
    for (const text of [
      one('secrets', `{ aescbc: { keys: [{ name: k, secret: ${secret} }] }, identity: {} }`),
      one('secrets', `{ aescbc: { keys: [{ name: k, secret: ${secret} }] } }`),
      one('secrets', `{ aescbc: { keys: [{ name: k, secret: ${secret}, x: 1 }] } }`),
      `${one('secrets', `{ aescbc: { keys: [{ name: k, secret: ${secret} }`)} : :`,
      `${head}resources: { secret: "${secret}`,
    ]) {
      const thrown = (): unknown => {
        try {
          return parseEncryptionConfiguration(text);
        } catch (error) {
          return String(error);
        }
      };
      expect(thrown()).toMatch(/Error/);
      expect(thrown()).not.toContain(secret.slice(0, 12));
    }
  });

  it('answers whatever is there with a configuration or one clear error', () => {
    const word = fc.constantFrom(
      'resources',
      'providers',
      'aescbc',
      'keys',
      'name',
      'secret',
      'kms',
      '*.',
      key32,
      '__proto__',
      'identity',
    );
    const { map } = fc.letrec((tie) => ({
      any: fc.oneof(
        word,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('any'), { maxLength: 3 }),
        tie('map'),
      ),
      map: fc.dictionary(word, tie('any'), { maxKeys: 4 }),
    }));
    const parts = { kms: () => expect.fail('no plugin was given'), watchOf: () => undefined };
    const attempt = (text: string): void => {
      try {
        const configuration = parseEncryptionConfiguration(text);
        new Transformers(configuration, parts).ofKey('/registry/secrets/a/b');
      } catch (error) {
        expect(isPodwrightError(error, 'E_USAGE'), String(error)).toBe(true);
      }
    };
    const document = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration' };
    fc.assert(fc.property(map, (given) => attempt(JSON.stringify({ ...document, ...(given as object) }))));
    fc.assert(
      fc.property(fc.array(map, { maxLength: 2 }), (given) =>
        attempt(JSON.stringify({ ...document, resources: given })),
      ),
    );
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => attempt(head + text)));
  });
});

describe('Transformers', () => {
  const parts = { kms: () => expect.fail('none'), watchOf: () => undefined };
  const made = (resources: string): Transformers =>
    new Transformers(parseEncryptionConfiguration(one(resources, `{ ${cbc} }`)), parts);

  it.each([
    ['secrets', '/registry/secrets/a/b', true],
    ['secrets', '/registry/configmaps/a/b', false],
    ['secrets', '/registry/ranges/services/10.96.0.1', false],
    ['services', '/registry/services/specs/a/b', true],
    ['services', '/registry/services/endpoints/a/b', false],
    ['endpoints', '/registry/services/endpoints/a/b', true],
    ['nodes', '/registry/minions/a', true],
    ['deployments.apps', '/registry/deployments/a/b', true],
    ['deployments', '/registry/deployments/a/b', false],
    ['ingresses.networking.k8s.io', '/registry/ingress/a/b', true],
    [
      'customresourcedefinitions.apiextensions.k8s.io',
      '/registry/apiextensions.k8s.io/customresourcedefinitions/a',
      true,
    ],
    ['podgroups.scheduling.k8s.io', '/registry/podgroups/a/b', true],
    ['"*.*"', '/registry/workloads/a/b', true],
    ['foos.ap.example.com', '/registry/ap.example.com/foos/a/b', true],
    ['foos.ap.example.com', '/registry/ap.example.com/bars/a/b', false],
    ['"*."', '/registry/secrets/a/b', true],
    ['"*."', '/registry/deployments/a/b', false],
    ['"*."', '/registry/ranges/services/10.96.0.1', false],
    ['"*."', '/registry/masterleases/10.0.0.1', false],
    ['"*.apps"', '/registry/deployments/a/b', true],
    ['"*.*"', '/registry/ap.example.com/foos/a/b', true],
    ['"*.*"', '/registry/leases/a/b', true],
  ])('with %s of %s: %s', (resources, key, isSealed) => {
    expect(made(resources).ofKey(key) !== undefined).toBe(isSealed);
    const folder = key.slice(0, key.lastIndexOf('/') + 1);
    expect(made(resources).mayHold(folder)).toBe(isSealed);
  });

  it('does not know of a prefix that says too little', () => {
    for (const prefix of [
      '',
      '/',
      '/registry',
      '/registry/',
      '/registry/sec',
      '/registry/services/',
      '/registry/apps.example.com/',
    ]) {
      expect(made('secrets').mayHold(prefix), prefix).toBe(true);
    }
  });

  it('leaves what an earlier entry said of all, and adds up what is said of one', () => {
    const other = Buffer.alloc(32, 'b').toString('base64');
    const text = `${head}resources:
- { resources: [secrets], providers: [{ ${cbc} }] }
- { resources: ["*."], providers: [{ identity: {} }] }
- { resources: [secrets], providers: [{ aesgcm: { keys: [{ name: g, secret: ${other} }] } }] }
- { resources: [configmaps], providers: [{ ${cbc} }] }
`;
    const transformers = new Transformers(parseEncryptionConfiguration(text), parts);
    const sealed = (key: string): string => {
      const bytes = transformers.ofKey(key)?.seal(Buffer.from('x'), key) ?? Buffer.of();
      return Buffer.from(bytes.subarray(0, 15)).toString();
    };
    expect(sealed('/registry/secrets/a/b')).toBe('k8s:enc:aescbc:');
    expect(sealed('/registry/configmaps/a/b')).toBe('x');
  });
});
