import type { APIService } from '#api/generated/objects.ts';
import { isConditionTrue } from '#api/meta/condition.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, stringOf } from '#api/wire/json.ts';

/** A group version that another server answers, by an APIService. */
export interface RemoteService {
  /** `v1beta1.metrics.k8s.io`. */
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  readonly service: { readonly namespace: string; readonly name: string; readonly port: number };
  /** PEM; '' for those whom everybody trusts. */
  readonly caPem: string;
  readonly isUnverified: boolean;
  /** As the condition Available says, which every server of the store goes by. */
  readonly isAvailable: boolean;
}

const portDefault = 443;

/** undefined: the server itself answers. */
export function remoteServiceOf(object: JsonObject): RemoteService | undefined {
  const { spec, status } = object as unknown as APIService;
  if (spec?.service === undefined) return undefined;
  const { namespace = '', name = '', port = portDefault } = spec.service;
  return {
    name: stringOf(at(object, 'metadata.name')),
    group: spec.group ?? '',
    version: spec.version ?? '',
    groupPriority: spec.groupPriorityMinimum,
    versionPriority: spec.versionPriority,
    service: { namespace, name, port },
    caPem: Buffer.from(spec.caBundle ?? '', 'base64').toString('utf8'),
    isUnverified: spec.insecureSkipTLSVerify === true,
    isAvailable: isConditionTrue(status?.conditions, 'Available'),
  };
}
