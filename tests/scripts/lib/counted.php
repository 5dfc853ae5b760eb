<?php
class Counted
{
    public static int $number = 0;
}
