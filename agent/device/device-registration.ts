/** How device plugins come: by kubelet.sock in the directory of their sockets, or as plugins of the node (agent/plugin). */
import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { isExtendedResource } from '#api/validation/resource-name.ts';
import { chooseVersion, type Plugin, type PluginHandler } from '#agent/plugin/plugin.ts';
import { loadContract } from '#proto/load.ts';
import { refusal } from '#proto/status.ts';
import { serveUnixOnDemand, serviceOf } from '#proto/unix-server.ts';
import type { DeviceManager } from './device-manager.ts';
import { deviceVersion } from './device-plugin.ts';

type Takes = Pick<DeviceManager, 'connect' | 'disconnect'>;

export interface DeviceRegistrationOptions {
  /** kubelet's `device-plugins`: where plugins have their sockets. Made if it is not there. */
  readonly directory: string;
  readonly devices: Takes;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Plugins see by a new kubelet.sock that they are to register again. Loads gRPC when the first one asks. */
export async function serveDeviceRegistration(options: DeviceRegistrationOptions): Promise<AsyncDisposable> {
  const { directory, devices, clock, logger } = options;
  await mkdir(directory, { recursive: true, mode: 0o750 });
  return serveUnixOnDemand(
    async () => {
      const contract = await loadContract('deviceplugin-v1beta1');
      const registration = serviceOf(contract.services['v1beta1.Registration'], {
        Register: ({ version, endpoint, resource_name: resource, options: said }) => {
          const problem = registrationProblem(directory, { version, endpoint, resource });
          if (problem !== undefined) throw refusal('INVALID_ARGUMENT', problem);
          const place = { resource, endpoint: join(directory, endpoint), options: said ?? undefined };
          // A plugin may serve only after it was answered.
          devices
            .connect(place)
            .catch((error: unknown) =>
              logger.warn({ resource, endpoint, error: describeError(error) }, 'device plugin not connected'),
            );
          return {};
        },
      });
      return { ...contract, services: [registration] };
    },
    { path: join(directory, 'kubelet.sock'), clock, log: logger },
  );
}

/** In the kubelet's words. Pure. */
export function registrationProblem(
  directory: string,
  said: { readonly version: string; readonly endpoint: string; readonly resource: string },
): string | undefined {
  const { version, endpoint, resource } = said;
  if (version !== deviceVersion)
    return `requested API version "${version}" is not supported by kubelet. Supported version is "${deviceVersion}"`;
  if (!isExtendedResource(resource)) return `the ResourceName "${resource}" is invalid`;
  const inside = relative(directory, join(directory, endpoint));
  if (inside === '' || inside === '..' || inside.startsWith('../') || endpoint.includes('\0'))
    return `endpoint "${endpoint}" is no socket within ${directory}`;
  return undefined;
}

/** Of plugins that are of type DevicePlugin: their name is the resource. */
export function devicePluginHandler(devices: Takes): PluginHandler {
  const held = new Map<string, Plugin>();
  return {
    validate: ({ name, versions }) => {
      if (chooseVersion([deviceVersion], versions) === undefined)
        throw new PodwrightError(
          'E_INVALID',
          `manager version, ${deviceVersion}, is not among plugin supported versions [${versions.join(' ')}]`,
        );
      if (!isExtendedResource(name))
        throw new PodwrightError('E_INVALID', `invalid name of device plugin "${name}"`);
    },
    register: async (plugin) => {
      held.set(plugin.name, plugin);
      await devices.connect({ resource: plugin.name, endpoint: plugin.endpoint });
    },
    deregister: async ({ name, socket, identity }) => {
      const known = held.get(name);
      if (known?.socket !== socket || known.identity !== identity) return; // Another has the name by now.
      held.delete(name);
      await devices.disconnect(name);
    },
  };
}
