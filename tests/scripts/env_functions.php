<?php
// putenv() and getenv() in every shape; the output must equal that of the command line binary.
$show = function (string $label, mixed $value): void {
    echo $label, ': ', var_export($value, true), "\n";
};
$attempt = function (string $label, string $assignment) use ($show): void {
    try {
        $show($label, putenv($assignment));
    } catch (ValueError $error) {
        $show($label, get_class($error) . ' ' . $error->getMessage());
    }
};
$show('unknown', getenv('HOWDAH_TEST_UNKNOWN'));
$show('from the system', getenv('CUSTOM_OS_ENV_VARIABLE'));
$attempt('set', 'HOWDAH_TEST_A=one');
$show('read', getenv('HOWDAH_TEST_A'));
$attempt('set again', 'HOWDAH_TEST_A=two=three');
$show('read again', getenv('HOWDAH_TEST_A'));
$attempt('set empty', 'HOWDAH_TEST_B=');
$show('read empty', getenv('HOWDAH_TEST_B'));
$attempt('unset', 'HOWDAH_TEST_A');
$show('read unset', getenv('HOWDAH_TEST_A'));
$attempt('unset what never was', 'HOWDAH_TEST_NEVER');
$attempt('overwrite the system', 'CUSTOM_OS_ENV_VARIABLE=changed');
$show('read overwritten', getenv('CUSTOM_OS_ENV_VARIABLE'));
$attempt('remove the system', 'CUSTOM_OS_ENV_VARIABLE');
$show('read removed', getenv('CUSTOM_OS_ENV_VARIABLE'));
$attempt('empty', '');
$attempt('no name', '=value');
$attempt('with NUL', "HOWDAH_TEST_N=before\0after");
$show('read with NUL', getenv('HOWDAH_TEST_N'));
$attempt('long', 'HOWDAH_TEST_L=' . str_repeat('y', 70000));
$show('read long', strlen(getenv('HOWDAH_TEST_L')));
$all = getenv();
$show('all is an array of strings', is_array($all) && array_filter($all, 'is_string') === $all);
$show('all has what was set', $all['HOWDAH_TEST_B'] ?? null);
$show('all has not what was unset', isset($all['HOWDAH_TEST_A']));
$show('$_ENV unchanged', $_ENV['CUSTOM_OS_ENV_VARIABLE'] ?? 'absent');
$show('$_SERVER unchanged', $_SERVER['CUSTOM_OS_ENV_VARIABLE'] ?? 'absent');
$show('literal zero', getenv('LITERAL_ZERO'));
$show('local only', getenv('CUSTOM_OS_ENV_VARIABLE', true));
