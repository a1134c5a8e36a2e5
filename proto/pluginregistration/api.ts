// Made from pluginregistration/api.proto by generate.ts: messages as they are received. int64 is a number, exact up to 2^53.
import type { Method } from '#proto/contract.ts';

export interface PluginInfo {
  readonly type: string;
  readonly name: string;
  readonly endpoint: string;
  readonly supported_versions: readonly string[];
}

export interface RegistrationStatus {
  readonly plugin_registered: boolean;
  readonly error: string;
}

export interface RegistrationStatusResponse {}

export interface InfoRequest {}

export interface Services {
  readonly 'pluginregistration.Registration': {
    readonly GetInfo: Method<InfoRequest, PluginInfo>;
    readonly NotifyRegistrationStatus: Method<RegistrationStatus, RegistrationStatusResponse>;
  };
}
