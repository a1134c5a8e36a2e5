import type { MethodDefinition } from '@grpc/grpc-js';
import type { Options } from '@grpc/proto-loader';

/** The .proto files that there are, and the interfaces that generate.ts makes of them. */
export const contracts = {
  'cri-v1': { file: 'cri/api.proto', types: 'cri/api.ts' },
  'csi-v1': { file: 'csi/csi.proto', types: 'csi/csi.ts' },
  'deviceplugin-v1beta1': { file: 'deviceplugin/api.proto', types: 'deviceplugin/api.ts' },
  'dra-health-v1alpha1': { file: 'dra-health/api.proto', types: 'dra-health/api.ts' },
  'dra-v1': { file: 'dra/api.proto', types: 'dra/api.ts' },
  'etcd-v3': { file: 'etcd/rpc.proto', types: 'etcd/rpc.ts' },
  'health-v1': { file: 'health/health.proto', types: 'health/health.ts' },
  'kms-v2': { file: 'kms/kms.proto', types: 'kms/kms.ts' },
  'pluginregistration-v1': { file: 'pluginregistration/api.proto', types: 'pluginregistration/api.ts' },
  'podresources-v1': { file: 'podresources/api.proto', types: 'podresources/api.ts' },
} as const;

export type ContractName = keyof typeof contracts;

/** How messages look in TypeScript. generate.ts and load.ts agree by this. */
export const decoding: Options = {
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
  arrays: true,
  oneofs: true,
};

/** A message to send: what is left out has its default. */
export type Outgoing<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Outgoing<Item>[]
    : T extends object
      ? { readonly [K in keyof T]?: Outgoing<T[K]> }
      : T;

/** Which side of a call sends many messages; no contract has calls of which it is the client alone. */
export type Streams = 'none' | 'response' | 'both';

/** A method of a service: its path, the code of its messages, and what is sent and received. */
export interface Method<Request, Response, Sides extends Streams = 'none'> extends MethodDefinition<
  Outgoing<Request>,
  Response
> {
  /** Of the types alone: no method has it. */
  readonly shape?: { readonly request: Request; readonly response: Response; readonly streams: Sides };
}
