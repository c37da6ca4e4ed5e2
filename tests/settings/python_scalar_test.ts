import assert from "node:assert/strict";
import { plainScalar, pythonFloatText, pythonTextOf } from "../../lib/settings/python_scalar.ts";

/**
 * What Home Assistant 2025.4.4 (PyYAML and cv.string) made of each as the value of `password:`.
 */
const SEEN: readonly (readonly [string, string])[] = [
  ["0123", "83"],
  ["012_3", "83"],
  ["08", "08"],
  ["00", "0"],
  ["0_", "0"],
  ["0o17", "0o17"],
  ["-0", "0"],
  ["+5", "5"],
  ["1_000", "1000"],
  ["1__0", "10"],
  ["_1", "_1"],
  ["0x1F", "31"],
  ["+0x1f", "31"],
  ["0xFFFFFFFFFFFFFFFFFFFF", "1208925819614629174706175"],
  ["0b11", "3"],
  ["0b", "0b"],
  ["0777777777777777777777777777", "2417851639229258349412351"],
  ["12345678901234567890", "12345678901234567890"],
  ["-12345678901234567890", "-12345678901234567890"],
  ["123456789012345678901234567890", "123456789012345678901234567890"],
  ["12:30", "750"],
  ["12:30:45", "45045"],
  ["123:45:12:45:23:12:34:56:12:34", "1247150589887866354"],
  ["99999999999999999999:10", "5999999999999999999950"],
  ["190:20:30.15", "685230.15"],
  ["685_230.15", "685230.15"],
  ["1.10", "1.1"],
  ["1.", "1.0"],
  [".5", "0.5"],
  ["-.5", "-.5"],
  ["+.5", "+.5"],
  ["._5", "._5"],
  ["-0.0", "-0.0"],
  ["1_0.5", "10.5"],
  ["1e3", "1e3"],
  ["1e400", "1e400"],
  ["1.5e3", "1.5e3"],
  ["1.5e+3", "1500.0"],
  ["1.e+3", "1000.0"],
  ["1.0e+15", "1000000000000000.0"],
  ["1.0e+16", "1e+16"],
  ["1.0e-7", "1e-07"],
  ["0.00001", "1e-05"],
  ["1.0e+400", "inf"],
  ["1234567890123456789.0", "1.2345678901234568e+18"],
  ["0.1234567890123456789", "0.12345678901234568"],
  [".inf", "inf"],
  ["-.inf", "-inf"],
  [".nan", "nan"],
  ["true", "True"],
  ["Yes", "True"],
  ["off", "False"],
  ["y", "y"],
  ["2024-01-01", "2024-01-01"],
  ["2024-01-01 10:00:00", "2024-01-01 10:00:00"],
];

Deno.test("plainScalar makes of a number or word what Home Assistant makes of it, every digit kept", () => {
  for (const [source, text] of SEEN) assert.equal(pythonTextOf(plainScalar(source)), text, source);
  for (const source of ["", "~", "null", "Null", "NULL"]) assert.equal(plainScalar(source), null);
  // Python stops at 4,300 digits, and 0x_ is none
  for (const source of ["9".repeat(5_000), "0x_", "0b_"]) assert.equal(plainScalar(source), source);
});

Deno.test("pythonFloatText writes a float as Python's repr()", () => {
  const floats: readonly (readonly [number, string])[] = [
    [1, "1.0"],
    [-12.5, "-12.5"],
    [0, "0.0"],
    [-0, "-0.0"],
    [0.1 + 0.2, "0.30000000000000004"],
    [0.0001, "0.0001"],
    [0.00001, "1e-05"],
    [-0.0000015, "-1.5e-06"],
    [1e15, "1000000000000000.0"],
    [9999999999999998, "9999999999999998.0"],
    [1e16, "1e+16"],
    [123456789012345680000, "1.2345678901234568e+20"],
    [1.5e300, "1.5e+300"],
    [5e-324, "5e-324"],
    [Infinity, "inf"],
    [-Infinity, "-inf"],
    [NaN, "nan"],
  ];
  for (const [value, text] of floats) assert.equal(pythonFloatText(value), text);
});
