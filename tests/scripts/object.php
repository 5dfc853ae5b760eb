<?php
// Objects and classes of one request are new in each.
if (class_exists('Counted', false)) {
    exit('class survived');
}
require __DIR__ . '/lib/counted.php';
$object = new Counted();
echo 'object ', spl_object_id($object), ' number ', ++Counted::$number, ' request ', $_GET['i'];
