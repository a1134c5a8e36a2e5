import { forbidden } from '#api/errors/status.ts';
import { at, listOf, nameOrPrefix } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type { AdmissionPlugin } from './admission.ts';
import { writes } from './made.ts';

const services = builtIn('', 'v1', 'services');

/** Services are given no addresses of the world outside; what one has it may keep (CVE-2020-8554). */
export const denyServiceExternalIPs: AdmissionPlugin = {
  name: 'DenyServiceExternalIPs',
  handles: (attributes) => (writes(services, attributes) ? 'atOnce' : 'no'),
  validate: (_context, { object: service = {}, old }) => {
    const known = new Set(listOf(at(old, 'spec.externalIPs')));
    if (listOf(at(service, 'spec.externalIPs')).every((ip) => known.has(ip))) return;
    throw forbidden(services, nameOrPrefix(service), 'Use of external IPs is denied by admission control');
  },
};
