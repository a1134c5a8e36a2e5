import type { OwnerReference, Pod, Scale } from '#api/generated/objects.ts';
import { controllerRef } from '#api/meta/owner.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { readScale } from '#client/subresources/scale.ts';
import { createScaledKinds } from '#control-plane/controllers/scaled/scaled-kinds.ts';
import type { AskedScales, FoundScale } from './plan.ts';
import { isCached } from './scale-finder.ts';

/** Asks for the scale of whoever controls pods, and is no kind that is cached. */
export interface ScaleAsker {
  /** One question for each owner; what cannot be known is told by a text. Never rejects. */
  ask(pods: readonly Pod[]): Promise<AskedScales>;
}

/** As the disruption controller of Kubernetes does it: by discovery and the subresource scale, whatever kind it is (getScaleController). */
export function createScaleAsker(client: ApiClient, clock: Clock): ScaleAsker {
  const kinds = createScaledKinds(client, clock);
  const askOne = async (owner: OwnerReference, namespace: string | undefined): Promise<FoundScale> => {
    const { apiVersion, kind, name, uid } = owner;
    try {
      const found = await kinds.find(owner);
      if (found === undefined)
        return `no matches for kind ${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)}`;
      const { ref, isScaled } = found;
      const { group, resource } = ref;
      if (!isScaled)
        return `${group === '' ? resource : `${resource}.${group}`} does not implement the scale subresource`;
      const scale: Scale = await readScale(client, ref, { namespace, name });
      if (scale.metadata?.uid !== uid) return undefined;
      return { uid, replicas: scale.spec?.replicas ?? 0 };
    } catch (error) {
      return isNotFound(error) ? undefined : describeError(error);
    }
  };
  return {
    ask: async (pods) => {
      const answers = new Map<string, FoundScale>();
      for (const pod of pods) {
        const owner = controllerRef(pod);
        if (owner === undefined || isCached(owner) || answers.has(owner.uid)) continue;
        answers.set(owner.uid, await askOne(owner, pod.metadata?.namespace));
      }
      return answers;
    },
  };
}
