import { dirname, join } from 'node:path';
import type * as Grpc from '@grpc/grpc-js';
import { contracts, decoding, type ContractName } from './contract.ts';
import type { Services as CriServices } from './cri/api.ts';
import type { Services as CsiServices } from './csi/csi.ts';
import type { Services as DevicePluginServices } from './deviceplugin/api.ts';
import type { Services as DraHealthServices } from './dra-health/api.ts';
import type { Services as DraServices } from './dra/api.ts';
import type { Services as EtcdServices } from './etcd/rpc.ts';
import type { Services as HealthServices } from './health/health.ts';
import type { Services as KmsServices } from './kms/kms.ts';
import type { Services as PluginRegistrationServices } from './pluginregistration/api.ts';
import type { Services as PodResourcesServices } from './podresources/api.ts';

interface ServicesOf {
  readonly 'cri-v1': CriServices;
  readonly 'csi-v1': CsiServices;
  readonly 'deviceplugin-v1beta1': DevicePluginServices;
  readonly 'dra-health-v1alpha1': DraHealthServices;
  readonly 'dra-v1': DraServices;
  readonly 'etcd-v3': EtcdServices;
  readonly 'health-v1': HealthServices;
  readonly 'kms-v2': KmsServices;
  readonly 'pluginregistration-v1': PluginRegistrationServices;
  readonly 'podresources-v1': PodResourcesServices;
}

export interface LoadedContract<Name extends ContractName> {
  readonly grpc: typeof Grpc;
  readonly services: ServicesOf[Name];
}

/** Loads gRPC and a contract (50 to 300 ms, some MB): only what is used is paid for, so nobody imports gRPC but by this. */
export async function loadContract<Name extends ContractName>(name: Name): Promise<LoadedContract<Name>> {
  const [grpc, { load }] = await Promise.all([import('@grpc/grpc-js'), import('@grpc/proto-loader')]);
  const file = join(import.meta.dirname, contracts[name].file);
  const definitions = await load(file, { ...decoding, includeDirs: [dirname(file)] });
  // `npm run check` compares the interfaces with the file.
  return { grpc, services: definitions as unknown as ServicesOf[Name] };
}
