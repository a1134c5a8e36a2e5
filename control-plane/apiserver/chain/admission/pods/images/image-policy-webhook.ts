import { forbidden } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, nameOrPrefix, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import { systemClock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { ExpiringMap } from '#base/expiring-map.ts';
import { loadKubeconfig } from '#client/kubeconfig.ts';
import { createWebhook, type Webhook } from '#client/webhook.ts';
import type {
  AdmissionContext,
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import type { PluginRow } from '#control-plane/apiserver/chain/admission/choice/plugin-row.ts';
import { wrong } from '#control-plane/apiserver/chain/admission/configuration.ts';
import { debugsPod, pods, writesPod } from '#control-plane/apiserver/chain/admission/pods/pod.ts';
import { parseImagePolicy, type ImagePolicy } from './image-policy-configuration.ts';

const name = 'ImagePolicyWebhook';
const apiVersion = 'imagepolicy.k8s.io/v1alpha1';
const kind = 'ImageReview';
/** Begins the keys of all that the audit record says. */
const auditPrefix = 'imagepolicywebhook.image-policy.k8s.io/';
/** Of one try, as upstream's webhooks. */
const askMs = 30_000;
/** Answers kept, as upstream. */
const answersMax = 1024;

/** What became of a review. */
interface Answer {
  readonly isAllowed: boolean;
  readonly reason: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * Images of pods are such as a program outside lets pass (plugin/pkg/admission/imagepolicy). Whether it is asked again goes by the images, the
 * namespace and the annotations that are meant for it.
 */
export function imagePolicyWebhook(policy: ImagePolicy, webhook: Pick<Webhook, 'call'>): AdmissionPlugin {
  const answers = new ExpiringMap<string, Answer>(answersMax);
  return {
    name,
    handles: (attributes) => (writesPod(attributes) || debugsPod(attributes) ? 'mayWait' : 'no'),
    validate: async (context, request) => {
      const spec = reviewOf(request);
      const key = JSON.stringify(spec);
      const known = answers.get(key, context.clock.monotonic());
      const answer = known ?? (await ask(context, request, { policy, webhook, spec }));
      if (answer === undefined) return;
      if (known === undefined) {
        const ttlMs = answer.isAllowed ? policy.allowTtlMs : policy.denyTtlMs;
        answers.set(key, answer, { ttlMs, nowMs: context.clock.monotonic() });
      }
      judge(request, answer);
    },
  };
}

export const imagePolicyRow: PluginRow = {
  name,
  onByDefault: false,
  create: () => {
    throw wrong('imagePolicy', 'must be given: name a file by --admission-control-config-file');
  },
  configure: (configuration) => {
    const policy = parseImagePolicy(configuration);
    const access = loadKubeconfig(policy.kubeConfigFile, systemClock);
    const webhook = createWebhook({ access, timeoutMs: askMs, initialBackoffMs: policy.retryBackoffMs });
    return imagePolicyWebhook(policy, webhook);
  },
};

/** What it is asked: of what is given to a pod those alone. */
function reviewOf({ attributes, object: pod = {} }: AdmissionRequest): JsonObject {
  const lists = debugsPod(attributes) ? ['ephemeralContainers'] : ['containers', 'initContainers'];
  const containers = lists.flatMap((list) =>
    objectsOf(at(pod, ['spec', list])).map(({ image }) => (stringOf(image) === '' ? {} : { image })),
  );
  const annotations = Object.entries(stringMapOf(at(pod, 'metadata.annotations'))).filter(([key]) =>
    key.includes('.image-policy.k8s.io/'),
  );
  return {
    ...(containers.length === 0 ? {} : { containers }),
    ...(annotations.length === 0 ? {} : { annotations: Object.fromEntries(annotations.toSorted()) }),
    ...(attributes.namespace === '' ? {} : { namespace: attributes.namespace }),
  };
}

/** undefined: it says nothing, and that lets them pass. @throws {E_API} 403 where it says nothing, and that does not */
async function ask(
  { logger }: AdmissionContext,
  request: AdmissionRequest,
  {
    policy,
    webhook,
    spec,
  }: {
    readonly policy: ImagePolicy;
    readonly webhook: Pick<Webhook, 'call'>;
    readonly spec: JsonObject;
  },
): Promise<Answer | undefined> {
  try {
    const review = { kind, apiVersion, metadata: {}, spec, status: { allowed: false } };
    return readAnswer(await webhook.call(review));
  } catch (error) {
    const why = describeError(error);
    if (!policy.isAllowedByDefault) throw refused(request, why);
    logger.warn({ error: why }, 'nobody says whether images may be used: they may, as the server is told');
    request.attributes.scope?.annotate(`${auditPrefix}failed-open`, 'true');
    return undefined;
  }
}

/** @throws {E_INVALID} for an answer that is no ImageReview */
function readAnswer(answer: JsonObject): Answer {
  if ((answer['kind'] ?? kind) !== kind || (answer['apiVersion'] ?? apiVersion) !== apiVersion) {
    throw new PodwrightError('E_INVALID', `the answer is no ${kind} of ${apiVersion}`);
  }
  return {
    isAllowed: at(answer, 'status.allowed') === true,
    reason: stringOf(at(answer, 'status.reason')),
    annotations: stringMapOf(at(answer, 'status.auditAnnotations')),
  };
}

/** @throws {E_API} 403 */
function judge(request: AdmissionRequest, { isAllowed, reason, annotations }: Answer): void {
  for (const [key, value] of Object.entries(annotations))
    request.attributes.scope?.annotate(`${auditPrefix}${key}`, value);
  if (isAllowed) return;
  throw refused(
    request,
    reason === ''
      ? 'one or more images rejected by webhook backend'
      : `image policy webhook backend denied one or more images: ${reason}`,
  );
}

function refused({ attributes, object = {} }: AdmissionRequest, cause: string): Error {
  return forbidden(pods, attributes.name || nameOrPrefix(object), cause);
}
