import {
  array,
  constantFrom,
  dictionary,
  integer,
  jsonValue,
  oneof,
  record,
  string,
  type Arbitrary,
} from 'fast-check';
import { expect } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { organizationsOf, signingRequestFault } from '#api/kinds/certificates/signing-request.ts';
import { isPodwrightError } from '#base/errors.ts';
import { mastersRequest } from '#control-plane/apiserver/chain/admission/certificates/certificates.fixture.ts';
import { parseRateLimits } from '#control-plane/apiserver/chain/admission/events/rate-limits.ts';
import {
  parseNodeSelectors,
  parseSelector,
} from '#control-plane/apiserver/chain/admission/pods/pod-node-selector.ts';
import { parseTolerationDefaults } from '#control-plane/apiserver/chain/admission/pods/pod-toleration-restriction.ts';
import { parseLimitedResources } from '#control-plane/apiserver/chain/admission/quota/limited-resources.ts';
import { fuzz } from './fuzz.ts';

const words = constantFrom(
  ...['Server', 'User', 'In', 'Exists', 'PriorityClass', 'NoExecute', 'Equal', 'pods', 'a=b', 'a', '=', ''],
);
const leaf = oneof(words, integer(), jsonValue({ maxDepth: 1 }));
const element = dictionary(
  constantFrom(
    ...['type', 'qps', 'burst', 'cacheSize', 'key', 'operator', 'effect', 'tolerationSeconds'],
    ...['apiGroup', 'resource', 'matchContains', 'matchScopes', 'scopeName', 'values'],
  ),
  oneof(leaf, array(leaf, { maxLength: 2 }), array(dictionary(words, leaf), { maxLength: 2 })),
);
const lists = array(element, { maxLength: 3 });
/** Of each plugin mostly what it takes. */
const configuration: Arbitrary<JsonObject> = oneof(
  ...(
    [
      ['eventratelimit.admission.k8s.io/v1alpha1', 'Configuration', 'limits'],
      ['podtolerationrestriction.admission.k8s.io/v1alpha1', 'Configuration', 'default'],
      ['podtolerationrestriction.admission.k8s.io/v1alpha1', 'Configuration', 'whitelist'],
      ['resourcequota.admission.k8s.io/v1beta1', 'Configuration', 'limitedResources'],
      ['apiserver.config.k8s.io/v1', 'ResourceQuotaConfiguration', 'limitedResources'],
    ] as const
  ).map(([apiVersion, kind, field]) =>
    oneof(lists, leaf).map((value): JsonObject => ({ apiVersion, kind, [field]: value })),
  ),
  oneof(dictionary(words, leaf), leaf).map((value) => ({ podNodeSelectorPluginConfig: value })),
);

fuzz('configurations of admission plugins', {
  seconds: 2,
  arbitrary: configuration,
  check: (value) => {
    for (const parse of [parseRateLimits, parseTolerationDefaults, parseLimitedResources, parseNodeSelectors])
      toldOf(() => parse(value));
  },
});

fuzz('node selectors of namespaces', {
  seconds: 1,
  arbitrary: array(oneof(words, string({ unit: 'binary', maxLength: 4 }), constantFrom(',', '=')), {
    maxLength: 12,
  }).map((parts) => parts.join('')),
  check: (text) => {
    const selector = parseSelector(text);
    if (typeof selector === 'string') expect(selector).toMatch(/^invalid selector: /);
  },
});

const request = Buffer.from(mastersRequest, 'base64').toString('latin1');
const [begin = '', ...rest] = request.trim().split('\n');
const der = Buffer.from(rest.slice(0, -1).join(''), 'base64');
const end = rest.at(-1) ?? '';

fuzz('subjects of signing requests that were damaged', {
  seconds: 1,
  arbitrary: array(
    record({ at: integer({ min: 0, max: der.length - 1 }), byte: integer({ min: 0, max: 255 }) }),
    {
      minLength: 1,
      maxLength: 4,
    },
  ),
  check: (damages) => {
    const damaged = Buffer.from(der);
    for (const { at, byte } of damages) damaged[at] = byte;
    const pem = `${begin}\n${damaged.toString('base64')}\n${end}\n`;
    expect(Array.isArray(organizationsOf(pem))).toBe(true);
    // Whatever holds its signature says what it said.
    if (signingRequestFault(pem) === undefined && damaged.equals(der))
      expect(organizationsOf(pem)).toEqual(['devs', 'system:masters']);
  },
});

/** What whoever wrote it is told; anything else that is thrown is ours. */
function toldOf(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!isPodwrightError(error, 'E_INVALID')) throw error;
  }
}
