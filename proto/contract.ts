import type { MethodDefinition } from '@grpc/grpc-js';
import type { Options } from '@grpc/proto-loader';

/** The .proto files that there are, and the interfaces that generate.ts makes of them. */
export const contracts = {
  'etcd-v3': { file: 'etcd/rpc.proto', types: 'etcd/rpc.ts' },
  'kms-v2': { file: 'kms/kms.proto', types: 'kms/kms.ts' },
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

/** A method of a service: its path, and the code of its messages. */
export type Method<Request, Response> = MethodDefinition<Outgoing<Request>, Response>;
