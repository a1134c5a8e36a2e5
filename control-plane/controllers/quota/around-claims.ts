import { classableResources } from '#api/device/extended-resources.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { claimSurroundings } from '#api/quota/claim-surroundings.ts';
import { takesUntilMs } from '#api/quota/pod-usage.ts';
import { isClaimOfDevices } from '#api/quota/usage.ts';
import { deviceClasses, pods, resourceClaims } from '#api/schema/kind-ref.ts';
import { source, type Source } from '#client/controller.ts';
import type { Informers } from '#client/informers.ts';
import type { Tallies } from './tally.ts';

type Asked = Parameters<Tallies['used']>[1];

/** What of extended resources claims of devices take goes by, of the caches. */
export interface AroundClaims {
  /** What is to be counted, with what is around it where it is claims. */
  counted(asked: Asked): Asked;
  /** Changes after which claims are counted anew, though they did not change. */
  sources(tallies: Tallies): readonly Source[];
}

export function createAroundClaims(informers: Informers): AroundClaims {
  const classes = informers.for(deviceClasses);
  const podInformer = informers.for(pods);
  return {
    counted: (asked) => {
      if (!isClaimOfDevices(asked.kind)) return asked;
      const around = claimSurroundings({
        classNamed: (name) => asJson(classes.get(name)),
        podNamed: (namespace, name) => asJson(podInformer.get(`${namespace}/${name}`)),
        claimsOf: (namespace) => asked.objects.byIndex('namespace', namespace),
        nowMs: asked.nowMs,
      });
      return { ...asked, around };
    },
    sources: (tallies) => [
      source(classes, ({ old, current }) =>
        old?.spec.extendedResourceName === current?.spec.extendedResourceName
          ? []
          : tallies.recount(resourceClaims),
      ),
      source(podInformer, ({ old, current }) =>
        standOf(old) === standOf(current)
          ? []
          : tallies.recount(resourceClaims, (current ?? old)?.metadata?.namespace),
      ),
    ],
  };
}

/** What of a pod says how a claim is counted that stands for its extended resources; undefined where it asks for none. */
function standOf(pod: Pod | undefined): string | undefined {
  if (pod === undefined || classableResources(pod).length === 0) return undefined;
  const named = pod.status?.extendedResourceClaimStatus?.resourceClaimName;
  return `${pod.metadata?.uid} ${named} ${takesUntilMs({ ...pod })}`;
}

function asJson(object: object | undefined): JsonObject | undefined {
  return object === undefined ? undefined : { ...object };
}
