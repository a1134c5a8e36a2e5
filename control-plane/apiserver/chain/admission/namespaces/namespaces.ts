import type { Kind } from '#api/schema/kinds.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';

export const namespaces: Kind = builtIn('', 'v1', 'namespaces');
