import type { Service } from '#api/generated/objects.ts';
import { services } from '#api/schema/kind-ref.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import type { ServicePlan } from './plan.ts';
import { wantsZoneHints } from './zone-hints.ts';

/** Tells of Services whether they have the hints that they ask for, in words of k8s.io/endpointslice/topologycache. */
export interface HintTeller {
  tell(key: string, service: Service, plan: ServicePlan): void;
  /** The Service is gone. */
  forget(key: string): void;
}

export function createHintTeller({ recorder }: Pick<ControllerContext, 'recorder'>): HintTeller {
  const own = recorder('endpoint-slice-controller');
  /** What was last told of Services that ask, or asked: nothing where all is well. */
  const told = new Map<string, string>();
  return {
    tell: (key, service, { unhinted = [] }) => {
      const before = told.get(key);
      const isAsked = wantsZoneHints(service);
      if (!isAsked && before === undefined) return;
      const regarding = { kind: services, object: service };
      const [family = 'IPv4'] = service.spec?.ipFamilies ?? [];
      if (!isAsked) {
        told.delete(key);
        const message = `Topology Aware Hints has been disabled, addressType: ${family}`;
        if (before === '') own.record(regarding, 'Warning', 'TopologyAwareHintsDisabled', message);
        return;
      }
      const now = unhinted.join();
      if (now === before) return;
      told.set(key, now);
      for (const message of unhinted) own.record(regarding, 'Warning', 'TopologyAwareHintsDisabled', message);
      const message = `Topology Aware Hints has been enabled, addressType: ${family}`;
      if (now === '') own.record(regarding, 'Normal', 'TopologyAwareHintsEnabled', message);
    },
    forget: (key) => void told.delete(key),
  };
}
