import type nodeHttp from 'node:http';

/**
 * node:http. An import statement reads every export of a module of Node's, and this one exports WebSocket, for which Node
 * loads a second HTTP client: 4 to 15 MB of memory. Types come from node:http as ever.
 */
export const http: typeof nodeHttp = process.getBuiltinModule('node:http');
