import type { EndpointSlice, Service } from '#api/generated/objects.ts';
import type { Informer } from '#client/client.ts';

/** Services and the EndpointSlices that belong to them, by the Service's `namespace/name`. */
export interface ServiceIndex {
  service(key: string): Service | undefined;
  slices(key: string): readonly EndpointSlice[];
  keys(): Iterable<string>;
}

/** EndpointSlice label that names the Service (discovery.k8s.io/v1 LabelServiceName). */
const serviceNameLabel = 'kubernetes.io/service-name';

/** The Service's key that a slice belongs to; undefined if it says none. */
export function serviceKeyOf(slice: EndpointSlice): string | undefined {
  const name = slice.metadata?.labels?.[serviceNameLabel];
  return name === undefined || name === '' ? undefined : `${slice.metadata?.namespace ?? ''}/${name}`;
}

/**
 * Follows two informers; `onChange` hears the key of each Service that something changed for, after the index has it.
 * The handler is called for all that is present at the start, too.
 */
export function createServiceIndex(
  services: Informer<Service>,
  endpointSlices: Informer<EndpointSlice>,
  onChange: (key: string) => void,
): ServiceIndex & Disposable {
  const slicesOf = new Map<string, Map<string, EndpointSlice>>();
  using stack = new DisposableStack();

  const forget = (key: string | undefined, sliceKey: string): void => {
    const slices = key === undefined ? undefined : slicesOf.get(key);
    if (key === undefined || slices?.delete(sliceKey) !== true) return;
    if (slices.size === 0) slicesOf.delete(key);
  };
  stack.use(
    endpointSlices.onChange(({ key: sliceKey, old, current }) => {
      const oldKey = old === undefined ? undefined : serviceKeyOf(old);
      const key = current === undefined ? undefined : serviceKeyOf(current);
      if (oldKey !== key) forget(oldKey, sliceKey);
      if (current === undefined) forget(oldKey, sliceKey);
      else if (key !== undefined) {
        const slices = slicesOf.get(key) ?? new Map<string, EndpointSlice>();
        slices.set(sliceKey, current);
        slicesOf.set(key, slices);
      }
      for (const changed of new Set([oldKey, key])) if (changed !== undefined) onChange(changed);
    }),
  );
  stack.use(services.onChange(({ key }) => onChange(key)));
  const moved = stack.move();
  return {
    service: (key) => services.get(key),
    slices: (key) => [...(slicesOf.get(key)?.values() ?? [])],
    keys: () =>
      services.list().map((item) => `${item.metadata?.namespace ?? ''}/${item.metadata?.name ?? ''}`),
    [Symbol.dispose]: () => moved.dispose(),
  };
}
