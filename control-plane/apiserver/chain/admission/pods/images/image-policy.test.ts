import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectsOf } from '#api/wire/json.ts';
import { createFakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { ask, contextWith } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { pods } from '#control-plane/apiserver/chain/admission/pods/pod.ts';
import { parseImagePolicy, type ImagePolicy } from './image-policy-configuration.ts';
import { imagePolicyWebhook } from './image-policy-webhook.ts';

const policy: ImagePolicy = {
  kubeConfigFile: '/etc/kubeconfig',
  ...{ allowTtlMs: 20_000, denyTtlMs: 10_000, retryBackoffMs: 1, isAllowedByDefault: false },
};

/** A program that does not let bad images pass, and fails for those that are down. */
function judgeOf(reviews: JsonObject[]): { call(review: JsonObject): Promise<JsonObject> } {
  return {
    call: async (review) => {
      reviews.push(review);
      const images = objectsOf(at(review, 'spec.containers')).map(({ image }) => image);
      if (images.includes('down')) throw new PodwrightError('E_CONNECTION', 'Post "x": no');
      if (images.includes('other')) return { kind: 'Pod', status: { allowed: true } };
      const isAllowed = !images.includes('bad') && !images.includes('silent');
      const reason = images.includes('bad') ? 'not allowed' : '';
      return { status: { allowed: isAllowed, reason, auditAnnotations: { seen: images.join() } } };
    },
  };
}

const podOf = (images: readonly string[], more: JsonObject = {}): JsonObject => ({
  metadata: { name: 'p', namespace: 'n' },
  spec: { containers: images.map((image, at) => ({ name: `c${at}`, image })), ...more },
});
const denied = 'pods "p" is forbidden: image policy webhook backend denied one or more images: not allowed';

describe('ImagePolicyWebhook', () => {
  const bad = [{ name: 'i', image: 'bad' }];
  it.each<[string, JsonObject, string, string | undefined]>([
    ['good images', podOf(['good', 'fine']), '', undefined],
    ['a bad one', podOf(['good', 'bad']), '', denied],
    ['a bad one that begins', podOf(['good'], { initContainers: bad }), '', denied],
    [
      'one of which no reason is given',
      podOf(['silent']),
      '',
      'one or more images rejected by webhook backend',
    ],
    ['what nobody says anything of', podOf(['down']), '', 'pods "p" is forbidden: Post "x": no'],
    [
      'an answer about something else',
      podOf(['other']),
      '',
      'the answer is no ImageReview of imagepolicy.k8s.io/v1alpha1',
    ],
    ['a bad one to debug with', podOf(['good'], { ephemeralContainers: bad }), 'ephemeralcontainers', denied],
    [
      'bad ones that are there, where one to debug with is good',
      podOf(['bad']),
      'ephemeralcontainers',
      undefined,
    ],
  ])('%s', async (_name, object, subresource, refusal) => {
    const plugin = imagePolicyWebhook(policy, judgeOf([]));
    const old = subresource === '' ? {} : { old: podOf(['good']) };
    const answer = await ask(await contextWith([]), plugin, { kind: pods, object, subresource, ...old });
    if (refusal === undefined) expect(answer).toEqual({ object });
    else expect(answer).toEqual({ code: 403, message: expect.stringContaining(refusal) });
  });

  it('is asked again when its answer has had its time, and for other annotations of its own', async () => {
    const reviews: JsonObject[] = [];
    const context = { ...(await contextWith([])), clock: createFakeClock() };
    const plugin = imagePolicyWebhook(policy, judgeOf(reviews));
    const askFor = async (image: string, annotations: JsonObject = {}): Promise<number> => {
      const object = { ...podOf([image]), metadata: { name: 'p', namespace: 'n', annotations } };
      await ask(context, plugin, { kind: pods, object });
      return reviews.length;
    };
    expect(await askFor('good')).toBe(1);
    expect(await askFor('bad')).toBe(2);
    context.clock.advance(9_999);
    expect([await askFor('good'), await askFor('bad')]).toEqual([2, 2]);
    context.clock.advance(1);
    expect([await askFor('good'), await askFor('bad')]).toEqual([2, 3]);
    context.clock.advance(10_000);
    expect(await askFor('good', { other: 'x' })).toBe(4);
    expect(await askFor('good', { 'a.image-policy.k8s.io/ticket': '7' })).toBe(5);
    expect(reviews.at(-1)).toEqual({
      ...{ kind: 'ImageReview', apiVersion: 'imagepolicy.k8s.io/v1alpha1' },
      ...{ metadata: {}, status: { allowed: false } },
      spec: {
        containers: [{ image: 'good' }],
        annotations: { 'a.image-policy.k8s.io/ticket': '7' },
        namespace: 'n',
      },
    });
  });

  it('lets all pass while nobody answers, where it is told to', async () => {
    const plugin = imagePolicyWebhook({ ...policy, isAllowedByDefault: true }, judgeOf([]));
    const object = podOf(['down']);
    expect(await ask(await contextWith([]), plugin, { kind: pods, object })).toEqual({ object });
  });
});

describe('what it is told', () => {
  const given = { kubeConfigFile: 'k' };
  const parse = (imagePolicy: unknown): ImagePolicy =>
    parseImagePolicy({ value: { imagePolicy }, directory: '/etc/k8s' });
  it('has defaults, and times in seconds but one', () => {
    expect(parse(given)).toEqual({
      kubeConfigFile: '/etc/k8s/k',
      ...{ allowTtlMs: 300_000, denyTtlMs: 30_000, retryBackoffMs: 500, isAllowedByDefault: false },
    });
    expect(
      parse({ ...given, allowTTL: 50, denyTTL: -1, retryBackoff: 50, defaultAllow: true }),
    ).toMatchObject({
      ...{ allowTtlMs: 50_000, denyTtlMs: 0, retryBackoffMs: 50, isAllowedByDefault: true },
    });
  });
  it.each([
    [undefined, 'imagePolicy: must be an object'],
    [{}, 'imagePolicy.kubeConfigFile: must name a file'],
    [{ ...given, allowTTL: 1 }, 'imagePolicy.allowTTL: must be above 1'],
    [{ ...given, denyTTL: 1801 }, 'imagePolicy.denyTTL: must be above 1'],
    [{ ...given, retryBackoff: 300_001 }, 'imagePolicy.retryBackoff: must be above 0'],
    [{ ...given, retryBackoff: 1.5 }, 'imagePolicy.retryBackoff: must be a whole number'],
    [{ ...given, defaultAllow: 'yes' }, 'imagePolicy.defaultAllow: must be true or false'],
    [{ ...given, retries: 1 }, 'imagePolicy.retries: is not known'],
  ])('is refused: %j', (value, message) => {
    expect(() => parse(value)).toThrow(message);
  });
});
