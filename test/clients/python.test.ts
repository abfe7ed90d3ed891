/** The client of the official Python SDK. */
import { after, describe } from 'node:test';
import { skipWithoutPython } from '../support/python-environment.ts';
import { testMatrix } from './matrix.ts';
import { pythonClient } from './python.ts';

describe('Python', { skip: skipWithoutPython() }, () => {
  const python = pythonClient();
  after(() => python.close());
  testMatrix(python.players);
});
