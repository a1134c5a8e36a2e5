import { expect, it } from 'vitest';
import type { NodeLookUp } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { audienceProblem } from './token-audience.ts';

const projected = (audience?: string): object => ({
  projected: { sources: [{ serviceAccountToken: audience === undefined ? {} : { audience } }] },
});
const stored: Readonly<Record<string, JsonObject>> = {
  'persistentvolumeclaims bound': { spec: { volumeName: 'v' } },
  'persistentvolumeclaims p-scratch': { spec: { volumeName: 'v' } },
  'persistentvolumeclaims unbound': { spec: {} },
  'persistentvolumes v': { spec: { csi: { driver: 'd.example.com' } } },
  'csidrivers d.example.com': { spec: { tokenRequests: [{ audience: 'vault' }] } },
};
const claim = (claimName: string): object => ({ persistentVolumeClaim: { claimName } });
const unknown = (audience: string): string =>
  `audience "${audience}" not found in pod spec volume, system:node:a is not authorized to request tokens for this audience`;

it.each<{
  readonly name: string;
  readonly volumes: readonly object[];
  readonly audiences: readonly string[];
  readonly granted?: string;
  readonly want: string | undefined;
}>([
  { name: 'none, of a pod with a token', volumes: [projected()], audiences: [], want: undefined },
  { name: 'none, of a pod without', volumes: [], audiences: [], want: unknown('') },
  {
    name: 'one that a volume names',
    volumes: [projected(), projected('x')],
    audiences: ['x'],
    want: undefined,
  },
  { name: 'one that none names', volumes: [projected('x')], audiences: ['y'], want: unknown('y') },
  {
    name: 'two',
    volumes: [projected('x')],
    audiences: ['x', 'x'],
    want: 'node may only request 0 or 1 audiences',
  },
  { name: 'one that was given', volumes: [], audiences: ['y'], granted: 'y', want: undefined },
  { name: 'another than was given', volumes: [], audiences: ['y'], granted: 'z', want: unknown('y') },
  {
    name: 'of a driver',
    volumes: [{ csi: { driver: 'd.example.com' } }],
    audiences: ['vault'],
    want: undefined,
  },
  {
    name: 'another of a driver',
    volumes: [{ csi: { driver: 'd.example.com' } }],
    audiences: ['x'],
    want: unknown('x'),
  },
  { name: 'of a driver by a claim', volumes: [claim('bound')], audiences: ['vault'], want: undefined },
  {
    name: 'of a driver by a claim of its own',
    volumes: [{ name: 'scratch', ephemeral: {} }],
    audiences: ['vault'],
    want: undefined,
  },
  {
    name: 'by a claim without a volume',
    volumes: [claim('unbound')],
    audiences: ['vault'],
    want: 'error validating audience "vault": persistentvolume "" not found',
  },
  {
    name: 'by claims and drivers that there are not',
    volumes: [claim('nope'), { csi: { driver: 'e' } }, claim('nope')],
    audiences: ['vault'],
    want: 'error validating audience "vault": [persistentvolumeclaim "nope" not found, csidriver.storage.k8s.io "e" not found]',
  },
  {
    name: 'that was given, by a claim that there is not',
    volumes: [claim('nope')],
    audiences: ['x'],
    granted: 'x',
    want: undefined,
  },
])('audienceProblem() of $name', async ({ volumes, audiences, granted, want }) => {
  const none = (): Promise<JsonObject> => Promise.reject(new Error('nobody asks'));
  const lookUp: NodeLookUp = {
    ...{ pod: none, node: none },
    find: async (resource, name) => stored[`${resource} ${name}`],
    mayRequestAudience: async (audience) => audience === granted,
  };
  const pod = { metadata: { name: 'p' }, spec: { volumes: volumes.map((volume) => ({ ...volume })) } };
  expect(await audienceProblem({ node: 'a', pod, audiences }, lookUp)).toBe(want);
});
